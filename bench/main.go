// Command bench measures what a call costs the service, beside a floor and its alternatives. Each program under test is
// a process of its own, and all but the service are this binary: its first argument names the role. Without one it is
// the driver, which starts them, makes the calls and stands in for Seam. docs/performance.md explains the figures.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		_, _ = fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		os.Exit(1)
	}
}

// driver makes a run: it starts the upstreams and the programs, and calls them. The first fields are its flags.
type driver struct {
	service, besides, update string
	quick, json              bool

	folder   string // Has the logs.
	programs []*program
}

func run(args []string) error {
	if len(args) == 2 && args[0] != "" && args[0][0] != '-' {
		return runRole(context.Background(), args[0], args[1])
	}
	d := new(driver)
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.StringVar(&d.service, "service", "bin/client-session-service", "the binary of the service")
	flags.StringVar(&d.besides, "besides", "", "another binary of the service, measured beside it as service-before")
	flags.BoolVar(&d.quick, "quick", false, "few and short rounds, and the table of calls alone")
	flags.BoolVar(&d.json, "json", false, "write one line of JSON a row to stdout, and the tables to stderr")
	flags.StringVar(&d.update, "update", "", "page in Markdown whose last section, '"+lastRun+"', is replaced")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return d.drive(ctx)
}

func (d *driver) drive(ctx context.Context) (err error) {
	if d.folder, err = os.MkdirTemp("", "bench"); err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(d.folder) }()
	defer d.stopAll()
	rows, err := d.calls(ctx)
	if err != nil {
		return err
	}
	tables, text := os.Stdout, []string{table(rows)}
	if d.json {
		tables = os.Stderr
		for _, r := range rows {
			if err := json.NewEncoder(os.Stdout).Encode(r); err != nil {
				return err
			}
		}
	}
	for _, section := range []func(context.Context) (string, error){d.addedLatency, d.lists, d.memory, d.startAndSize} {
		if d.quick {
			break
		}
		more, err := section(ctx)
		if err != nil {
			return err
		}
		text = append(text, more)
	}
	_, _ = io.WriteString(tables, strings.Join(text, "\n"))
	return publish(d.update, strings.Join(text, "\n"), rows)
}
