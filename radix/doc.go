// Package radix sorts records by a hash that they carry.
//
// Hashes are spread evenly, so that the upper bits of one tell where about its record belongs: one pass puts all of them there, and little is left to be
// compared. Records whose hashes somebody has chosen to be alike only make it as slow as any other sort.
//
// Sort keeps nothing and may be called from any number of goroutines. Start reading there.
package radix
