// Command bench measures what a call costs the service, beside a floor and its alternatives. Each program is a separate
// process, and all but the service and nginx are this binary: its first argument names the role. Without one it is the
// driver, which starts the others. docs/performance.md explains the figures.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	if err := run(context.Background(), os.Args[1:], os.Stdout, os.Stderr); err != nil {
		_, _ = fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	roles := map[string]func(ctx context.Context, upstream string) error{
		"floor": runFloor, "textbook": runTextbook, "reverse-proxy": runReverseProxy,
	}
	if len(args) == 2 && roles[args[0]] != nil {
		return roles[args[0]](ctx, args[1])
	}
	if len(args) > 0 && args[0] == "upstream" {
		return runUpstream(ctx, args[1:])
	}
	if len(args) > 0 && args[0] == "load" {
		return runLoad(ctx, args[1:], os.Stdin, stdout)
	}
	o, err := parseOptions(args, stderr)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	return drive(ctx, o, stdout, stderr)
}

// options are the flags of the driver.
type options struct {
	service, svg, update string
	quick, json          bool
}

func parseOptions(args []string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.service, "service", "bin/client-session-service", "the binary of the service")
	flags.BoolVar(&o.quick, "quick", false, "few and short rounds, and the table of calls alone")
	flags.BoolVar(&o.json, "json", false, "write one line of JSON a row to stdout, and the tables to stderr")
	flags.StringVar(&o.svg, "svg", "bin/bench.svg", "where to write the chart")
	flags.StringVar(&o.update, "update", "", "page in Markdown whose last section, '"+lastRun+"', is replaced")
	err := flags.Parse(args)
	if err == nil && flags.NArg() > 0 {
		err = fmt.Errorf("unknown role %q", flags.Arg(0))
	}
	return o, err
}
