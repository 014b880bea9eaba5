package hugepage

// size is that of a huge page on the machines that have them, in octets.
const size = 2 << 20

// MakeLater is make([]T, n), of a type without pointers, in small pages, and ready, which asks for huge ones in their place once the memory
// is filled. The kernel gives out and clears a huge page in one piece, and on some machines that takes milliseconds in which nothing
// else has the core; what it gathers later it gathers in the background.
func MakeLater[T any](n int) (s []T, ready func()) {
	s = make([]T, n)
	refuse(s)
	return s, func() { Advise(s) }
}

// Make is make([]T, n), of a type without pointers, with Advise.
func Make[T any](n int) []T {
	s := make([]T, n)
	Advise(s)
	return s
}
