//go:build !linux

package hugepage

// Advise does nothing: this system gives huge pages by itself, or not at all.
func Advise[T any]([]T) {}

func refuse[T any]([]T) {}

// Populate does nothing: memory comes when it is used.
func Populate[T any]([]T) {}
