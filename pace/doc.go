// Package pace keeps work in the background from holding a processor that queries wait for.
//
// On a machine with as many socket workers as processors, Go's scheduler looks at the network only when a goroutine stops by itself or has
// had its processor for 10 ms; hashing a large block cannot even be interrupted. So work in the background is cut into slices. After each the
// kernel is asked whether anything has come that the scheduler has not seen, and only then is there a rest, in which it is answered: in a process
// that has nothing else to do a rest of microseconds lasts a millisecond, the shortest that epoll_wait(2) knows.
//
// A sync that the kernel does (Sync) holds no processor at all.
// A worker that always has something to do lets others in without a rest (Turn).
//
// Start reading at Pace.
package pace
