package blocklist

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"

	"cenote/pace"

	"golang.org/x/sys/unix"
)

// ChildConfig says how compilations are run: each in a process of its own, so that a feed which is too large or makes a parser fail
// costs no query anything.
type ChildConfig struct {
	// Command is the program and its arguments. It must call RunChild. Default: the running program with "compile --child".
	// Example: ["/usr/bin/cenote", "compile", "--child"].
	Command []string
	// MemoryBytes is how much memory the child aims to stay under; at twice as much it is refused more and ends.
	// Default: 2 GiB. Example: 536870912.
	MemoryBytes int64
	// Cores is how many cores the child uses at once. Default: as many as Processors, or without those half of this process's, at least one.
	// Example: 1.
	Cores int
	// Processors are the numbers of those that the child may run on. Default: those of this process. Example: [1].
	Processors []int
	// Timeout ends a compilation that takes longer. Default: 10m. Example: 30m.
	Timeout time.Duration
	// Patience is how often a child, which has a processor only while nothing else wants it, is looked at. One that waited for one nine tenths
	// of the time is ended, and another takes its place, with the priority of nice 19. Default: 5s. Example: 1s.
	Patience time.Duration
}

const (
	childMemoryDefault  = 2 << 30
	childTimeoutDefault = 10 * time.Minute
	childPatience       = 5 * time.Second
	childNice           = 19
	childEndGrace       = 5 * time.Second
	childGCPercent      = 30        // most of what a child has lasts, so that collecting often costs little and keeps it small
	childReplyMax       = 512 << 20 // octets of messages taken from a child
	childStderrMax      = 64 << 10  // octets of each line of its stderr that are logged
	childStderrLines    = 200
)

func (c ChildConfig) withDefaults() (ChildConfig, error) {
	if len(c.Command) == 0 {
		self, err := runningProgram()
		if err != nil {
			return c, fmt.Errorf("finding the program to compile with: %w", err)
		}
		c.Command = []string{self, "compile", "--child"}
	}
	if c.MemoryBytes == 0 {
		c.MemoryBytes = childMemoryDefault
	}
	if c.Cores == 0 {
		c.Cores = cmp.Or(len(c.Processors), max(runtime.NumCPU()/2, 1))
	}
	if c.Timeout == 0 {
		c.Timeout = childTimeoutDefault
	}
	if c.Patience == 0 {
		c.Patience = childPatience
	}
	return c, nil
}

// runningProgram finds this program in a way that survives an upgrade: the kernel's link leads to the running file even when another
// has taken its name, and parent and child must be of one version.
func runningProgram() (string, error) {
	const kernelLink = "/proc/self/exe"
	if _, err := os.Stat(kernelLink); err == nil {
		return kernelLink, nil
	}
	return os.Executable()
}

// childJob is the one message to a child.
type childJob struct {
	Job         CompileConfig `json:"job"`
	MemoryBytes int64         `json:"memory_bytes"`
	Hurry       bool          `json:"hurry"` // not only while nothing else wants the processor
	Processors  []int         `json:"processors,omitempty"`
}

// childMessage is a message of a child: one of its fields is set.
type childMessage struct {
	Progress *Progress      `json:"progress,omitempty"`
	Report   *CompileReport `json:"report,omitempty"`
	Error    string         `json:"error,omitempty"` // beside Report: there is no new index
}

// ChildError says that a child ended without a report: it was killed, ran out of memory or time, or its parser failed.
type ChildError struct {
	During string // the feed that was being read; "" if none was
	Err    error
}

// Error says what the child was doing.
func (e *ChildError) Error() string {
	if e.During == "" {
		return fmt.Sprintf("compiling child: %v", e.Err)
	}
	return fmt.Sprintf("compiling child, while reading feed %q: %v", e.During, e.Err)
}

// Unwrap returns why it ended.
func (e *ChildError) Unwrap() error { return e.Err }

// child runs compilations in processes.
type child struct {
	config   ChildConfig
	progress func(Progress)
	log      *slog.Logger
}

// compile does a job in a process, which never outlives ctx, nor this one. If the machine has no time for it, another takes its place.
func (c *child) compile(ctx context.Context, job CompileConfig) (CompileReport, error) {
	report, err := c.run(ctx, childJob{Job: job, MemoryBytes: c.config.MemoryBytes, Processors: c.config.Processors})
	if errors.Is(err, errStarved) {
		c.log.Info("the processors are busy: feeds are compiled at a higher priority", "wait", c.config.Patience)
		return c.run(ctx, childJob{Job: job, MemoryBytes: c.config.MemoryBytes, Processors: c.config.Processors, Hurry: true})
	}
	return report, err
}

// errStarved says that a child was ended because it waited for a processor nearly all the time.
var errStarved = errors.New("no processor was free")

func (c *child) run(ctx context.Context, job childJob) (CompileReport, error) {
	input, err := json.Marshal(job)
	if err != nil {
		return CompileReport{}, err
	}
	ctx, timeUp := context.WithTimeoutCause(ctx, c.config.Timeout, fmt.Errorf("compilation took more than %v", c.config.Timeout))
	defer timeUp()
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	cmd := c.command(ctx, input)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return CompileReport{}, err
	}
	// The kernel ends the child when the thread that started it ends, so that thread must stay.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := pace.Lend(cmd.Start); err != nil {
		return CompileReport{}, &ChildError{Err: err}
	}
	leave := func() {}
	if !job.Hurry {
		leave = c.watch(ctx, cmd.Process.Pid, end)
	}
	reply := c.listen(stdout)
	leave()
	io.Copy(io.Discard, stdout) // after a bad message: let it write to its end
	return reply.result(cmd.Wait(), context.Cause(ctx))
}

func (c *child) command(ctx context.Context, input []byte) *exec.Cmd {
	cmd := exec.CommandContext(ctx, c.config.Command[0], c.config.Command[1:]...)
	cmd.Stdin = bytes.NewReader(input)
	cmd.Stderr = &lineLogger{log: c.log}
	cmd.Env = append(os.Environ(),
		"GOMEMLIMIT="+strconv.FormatInt(c.config.MemoryBytes, 10),
		"GOMAXPROCS="+strconv.Itoa(c.config.Cores))
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) } // it leads a group of its own
	cmd.WaitDelay = childEndGrace
	return cmd
}

// childReply is what a child has said.
type childReply struct {
	reading string
	message childMessage
	err     error
}

// listen reads a child's messages to the end.
func (c *child) listen(stdout io.Reader) childReply {
	var reply childReply
	messages := json.NewDecoder(io.LimitReader(stdout, childReplyMax))
	for {
		var m childMessage
		if err := messages.Decode(&m); err != nil {
			if !errors.Is(err, io.EOF) {
				reply.err = fmt.Errorf("its messages: %w", err)
			}
			return reply
		}
		if m.Progress == nil {
			reply.message = m
			continue
		}
		reply.reading = m.Progress.Feed
		if c.progress != nil {
			c.progress(*m.Progress)
		}
	}
}

// result judges a child by its exit and its words. A report counts only from a child that ended well or said what failed.
func (r *childReply) result(exit, cause error) (CompileReport, error) {
	if errors.Is(cause, errStarved) && r.message.Report != nil {
		exit, cause = nil, nil // it was done when it was ended
	}
	switch {
	case cause != nil && (exit != nil || r.message.Report == nil):
		return CompileReport{}, &ChildError{During: r.reading, Err: cause}
	case r.message.Report != nil && r.message.Error != "":
		return *r.message.Report, errors.New(r.message.Error)
	case exit != nil:
		return CompileReport{}, &ChildError{During: r.reading, Err: exit}
	case r.err != nil:
		return CompileReport{}, &ChildError{During: r.reading, Err: r.err}
	case r.message.Report == nil:
		return CompileReport{}, &ChildError{During: r.reading, Err: errors.New("it ended without a report")}
	}
	return *r.message.Report, nil
}

// RunChild is the child's side: it reads one job from in, gives the process a low priority and a limit on memory, does the
// job and writes messages to out, a line of JSON each. It is the whole of the hidden command "compile --child".
func RunChild(ctx context.Context, in io.Reader, out io.Writer) error {
	var job childJob
	if err := json.NewDecoder(in).Decode(&job); err != nil {
		return fmt.Errorf("reading the job: %w", err)
	}
	if err := humble(&job); err != nil {
		return err
	}
	debug.SetGCPercent(childGCPercent)
	messages := json.NewEncoder(out)
	job.Job.Progress = func(p Progress) { messages.Encode(childMessage{Progress: &p}) }
	report, err := Compile(ctx, job.Job)
	last := childMessage{Report: &report}
	if err != nil {
		last.Error = err.Error()
	}
	return errors.Join(messages.Encode(last), err)
}

// humble makes the process give way to every other: low priority and the processors that it may run on for all of its threads, the first to be ended when memory runs out, and
// a hard limit on its own memory.
func humble(job *childJob) error {
	if job.MemoryBytes > 0 {
		hard := uint64(2*job.MemoryBytes) + 256<<20
		if err := unix.Setrlimit(unix.RLIMIT_DATA, &unix.Rlimit{Cur: hard, Max: hard}); err != nil {
			return fmt.Errorf("limiting memory: %w", err)
		}
	}
	// Without /proc the kernel chooses for itself whom to end, and top shows the program's own name.
	os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0)
	os.WriteFile("/proc/self/comm", []byte("cenote-compile"), 0)
	if err := giveWay(job.Hurry, job.Processors); err != nil { // which costs queries time, but no list
		fmt.Fprintln(os.Stderr, "a compilation does not give way, or not stay on its processors:", err)
	}
	return nil
}

// lineLogger logs what a child writes to stderr, a line at a time and not without end.
type lineLogger struct {
	log   *slog.Logger
	buf   []byte
	lines int
}

// Write takes any part of the output.
func (l *lineLogger) Write(p []byte) (int, error) {
	l.buf = append(l.buf, p...)
	for {
		advance, line, _ := bufio.ScanLines(l.buf, false)
		if advance == 0 {
			break
		}
		l.line(string(line))
		l.buf = l.buf[advance:]
	}
	if len(l.buf) > childStderrMax {
		l.buf = l.buf[:0]
	}
	return len(p), nil
}

func (l *lineLogger) line(text string) {
	if l.lines++; l.lines <= childStderrLines {
		l.log.Warn("compiling child says", "text", strings.ToValidUTF8(text, "?"))
	}
}
