// Package pace keeps work in the background from holding a processor that queries wait for.
//
// On a machine with as many socket workers as processors, Go's scheduler looks at the network only when a goroutine stops by itself or has
// had its processor for 10 ms; hashing a large block cannot even be interrupted. So work in the background is cut into slices, each
// followed by a rest in which whatever has come is answered.
//
// Start reading at Pace.
package pace
