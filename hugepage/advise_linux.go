package hugepage

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Advise asks for huge pages for the memory of s, best before it is written to. It does nothing for less than a few megabytes.
func Advise[T any](s []T) { advise(s, unix.MADV_HUGEPAGE) }

// refuse asks for small pages.
func refuse[T any](s []T) { advise(s, unix.MADV_NOHUGEPAGE) }

func advise[T any](s []T, how int) {
	var one T
	octets := uintptr(len(s)) * unsafe.Sizeof(one)
	if octets < 2*size {
		return
	}
	b := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), octets)
	skip := -uintptr(unsafe.Pointer(&b[0])) & (size - 1)
	_ = unix.Madvise(b[skip:skip+(octets-skip)&^(size-1)], how)
}
