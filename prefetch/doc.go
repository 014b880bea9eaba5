// Package prefetch asks the processor for memory before it is needed.
//
// Tables of millions of names are larger than any cache, so a look into one costs the wait for memory, some hundred times that of an
// instruction. Whoever knows a batch of places beforehand asks for all of them first, and then looks: the waits overlap.
//
// Start reading at Line.
package prefetch
