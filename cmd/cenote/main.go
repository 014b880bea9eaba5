package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/signal"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"time"
	_ "time/tzdata" // for schedules, on machines and in images that have no time zones of their own

	"cenote/api"
	"cenote/config"

	"github.com/alecthomas/kong"
	kongcompletion "github.com/jotaen/kong-completion"
)

// commandLine is the grammar of the command line.
type commandLine struct {
	Serve      serveCommand              `cmd:"" help:"Run the server."`
	Check      checkCommand              `cmd:"" help:"Check the configuration, every feed and every zone; list every fault with file, line and hint."`
	Explain    explainCommand            `cmd:"" help:"Say what happens to a name: which policy zones hold it, which rule wins and why."`
	Resolve    resolveCommand            `cmd:"" help:"Ask what the world says about a name, without any policy; --trace shows all that was done."`
	Cache      cacheCommand              `cmd:"" help:"Look into the cache of answers, flush it, dump it and load it."`
	Servers    serversCommand            `cmd:"" help:"Show what is known of the servers that are asked: of a name's zone, or the slowest and busiest."`
	Anchors    anchorsCommand            `cmd:"" help:"Show how the trust anchors stand, and what is not validated."`
	Sightings  sightingsCommand          `cmd:"" help:"Show which clients asked for listed names."`
	Forecast   forecastCommand           `cmd:"" help:"Say what a feed would have matched, by replaying a query log against it."`
	Feeds      feedsCommand              `cmd:"" help:"Show the feeds: entries, faults, age, generation."`
	Keys       keysCommand               `cmd:"" help:"Show the DNSSEC keys of zones that are signed here, with the DS records for the zones above; roll them. The keys of the configuration are others (TSIG)."`
	Zones      zonesCommand              `cmd:"" help:"Show the zones that are served with authority: serial, age, source, faults."`
	Transfer   transferCommand           `cmd:"" help:"Ask the primaries of a zone for what is new, now."`
	Held       heldCommand               `cmd:"" help:"Show the rows of feeds that wait for an operator, and release or refuse them."`
	Reload     reloadCommand             `cmd:"" help:"Load the configuration and the feeds again, all or nothing."`
	Export     exportCommand             `cmd:"" help:"Write the policy in the form of other programs."`
	Compile    compileCommand            `cmd:"" help:"Compile the feeds into one policy file."`
	Health     healthCommand             `cmd:"" help:"Ask the running server whether it is ready; exit 1 if not."`
	Profile    profileCommand            `cmd:"" help:"Take a profile of the running server, for go tool pprof."`
	Version    versionCommand            `cmd:"" help:"Print the version."`
	Completion kongcompletion.Completion `cmd:"" help:"Print what turns on tab completion in bash, zsh or fish."`
}

// configFlag is shared by the commands that read the configuration.
type configFlag struct {
	Config string `short:"c" type:"path" placeholder:"FILE" env:"CENOTE_CONFIG" help:"Configuration file. Without one the embedded default is used (loopback, port 5354)."`
}

// socketFlag is shared by the commands that ask a running server.
type socketFlag struct {
	configFlag
	Socket string `short:"s" type:"path" placeholder:"FILE" env:"CENOTE_SOCKET" help:"Control socket of the server. Default: that of the configuration."`
}

// errReported ends a command with exit status 1 after it has said all there is to say.
var errReported = errors.New("reported")

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// streams are where a command reads and writes, so that tests can run it in process.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// run is the whole program: it returns the exit status. 0 is success, 1 a fault that was reported, 2 a wrong command line.
func run(args []string, in io.Reader, out, errOut io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return runContext(ctx, args, streams{in, out, errOut})
}

func runContext(ctx context.Context, args []string, std streams) int {
	var grammar commandLine
	exited := -1
	parser, err := kong.New(&grammar,
		kong.Name("cenote"),
		kong.Description("A protective DNS server: it sinkholes what malware asks for and keeps the ledger of who asked."),
		kong.Writers(std.out, std.err),
		kong.Exit(func(code int) { exited = code }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.UsageOnError(),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(std),
		kong.TypeMapper(reflect.TypeFor[netip.Addr](), kong.MapperFunc(readAddress)),
	)
	if err != nil {
		_, _ = fmt.Fprintln(std.err, "cenote: building the command line:", err)
		return 1
	}
	if done, err := completed(parser); err != nil || done {
		return report(err, std.err)
	}
	command, err := parser.Parse(args)
	if exited >= 0 {
		return exited
	}
	if err != nil {
		_, _ = fmt.Fprintln(std.err, "cenote:", withoutEmptyWord.Replace(err.Error()))
		_, _ = fmt.Fprintln(std.err, whereToLook(err, args))
		return 2
	}
	return report(command.Run(), std.err)
}

// readAddress reads an address of the command line.
func readAddress(ctx *kong.DecodeContext, target reflect.Value) error {
	var text string
	if err := ctx.Scan.PopValueInto("address", &text); err != nil {
		return err
	}
	a, err := netip.ParseAddr(text)
	if err != nil {
		return fmt.Errorf("%q is no address: write one such as 192.0.2.7 or 2001:db8::7", text)
	}
	target.Set(reflect.ValueOf(a))
	return nil
}

// withoutEmptyWord takes the word out of a list of words that stands for none of them.
var withoutEmptyWord = strings.NewReplacer(`one of "",`, "one of ", `,"" but got`, " but got")

// whereToLook names the help for a command line that is wrong: that of the command, as far as it was named.
func whereToLook(err error, args []string) string {
	var wrong *kong.ParseError
	if !errors.As(err, &wrong) || wrong.Context == nil || wrong.Context.Selected() == nil {
		return "Run `cenote --help` for the commands."
	}
	words := []string{"cenote"}
	for n := wrong.Context.Selected(); n != nil && n.Type != kong.ApplicationNode; n = n.Parent {
		if n == n.Parent.DefaultCmd && !slices.Contains(args, n.Name) {
			continue
		}
		words = slices.Insert(words, 1, n.Name)
	}
	return "Run `" + strings.Join(words, " ") + " --help` for what it takes."
}

// report writes what ended a command, once, and returns the exit status.
func report(err error, to io.Writer) int {
	var faults config.Faults
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errReported):
	case errors.As(err, &faults):
		_, _ = fmt.Fprintln(to, faults.Error())
	default:
		_, _ = fmt.Fprintln(to, "cenote:", err)
		if h := systemHint(err); h != "" {
			_, _ = fmt.Fprintln(to, "    hint:", h)
		}
	}
	return 1
}

// read reads the configuration of the flag, or the embedded default.
func (f *configFlag) read() (*config.Config, config.Warnings, error) {
	if f.Config == "" {
		c, err := config.Default()
		return c, nil, err
	}
	return config.Load(f.Config)
}

// client returns a client for the server's control socket.
func (f *socketFlag) client(timeout time.Duration) (*api.Client, error) {
	if f.Socket != "" {
		return api.NewClient(f.Socket, timeout), nil
	}
	c, _, err := f.read()
	if err != nil {
		return nil, err
	}
	return api.NewClient(string(c.API.Socket), timeout), nil
}
