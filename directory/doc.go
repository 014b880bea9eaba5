// Package directory is what several rooms need of a directory: a lock that keeps other processes out (Lock), and what the kernel tells of it (Notices). What lies in a
// directory, and what a notice means, is known to those who ask.
//
// A Lock and Notices are for one owner, who says at each method who may call it. Start reading at Notices.
package directory
