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
	b := octetsOf(s)
	octets := uintptr(len(b))
	if octets < 2*size {
		return
	}
	skip := -uintptr(unsafe.Pointer(&b[0])) & (size - 1)
	_ = unix.Madvise(b[skip:skip+(octets-skip)&^(size-1)], how)
}

// Populate has the kernel give out the memory of s now, for which it has to be written to else. What s holds is not changed.
func Populate[T any](s []T) {
	if len(s) == 0 {
		return
	}
	b := octetsOf(s)
	skip := -uintptr(unsafe.Pointer(&b[0])) & (pageSize - 1)
	if uintptr(len(b)) < skip+pageSize {
		return
	}
	_ = unix.Madvise(b[skip:skip+(uintptr(len(b))-skip)&^(pageSize-1)], unix.MADV_POPULATE_WRITE) // since Linux 5.14; before, memory comes when it is used
}

// pageSize is at least that of a page.
const pageSize = 64 << 10

func octetsOf[T any](s []T) []byte {
	var one T
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), uintptr(len(s))*unsafe.Sizeof(one))
}
