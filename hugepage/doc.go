// Package hugepage asks the kernel to back large tables with huge pages.
//
// A look into a table of many megabytes misses not only the processor's caches of memory but also that of translations, which reaches over
// a few megabytes of small pages. Kernels commonly give huge pages only to those who ask. A kernel that has none to give is as
// good as before.
//
// Start reading at Advise.
package hugepage
