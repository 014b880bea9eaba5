package directory

import "github.com/fsnotify/fsnotify"

// Overflow is what the kernel says when its queue of notices is full.
func (n *Notices) Overflow() { n.watcher.Errors <- fsnotify.ErrEventOverflow }

// Fd is the number of the lock's file in this process.
func (l *Lock) Fd() int { return int(l.file.Fd()) }
