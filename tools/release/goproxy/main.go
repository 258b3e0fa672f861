// Command goproxy writes a module as the folder of a Go module proxy, which go reads with GOPROXY=file://FOLDER. The
// zip has what go makes of the module's tag, so both have the same checksum.
//
//	goproxy FOLDER_OF_MODULE VERSION FOLDER_OF_PROXY
//
// SOURCE_DATE_EPOCH is the time of the version.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/mod/zip"
)

func main() {
	if err := run(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, "goproxy:", err)
		os.Exit(1)
	}
}

func run(folder, version, proxy string) error {
	mod, err := os.ReadFile(filepath.Join(folder, "go.mod")) //nolint:gosec // The path is for who runs this to choose.
	if err != nil {
		return err
	}
	seconds, err := strconv.ParseInt(os.Getenv("SOURCE_DATE_EPOCH"), 10, 64)
	if err != nil {
		return fmt.Errorf("SOURCE_DATE_EPOCH: %w", err)
	}
	info, err := json.Marshal(map[string]any{"Version": version, "Time": time.Unix(seconds, 0).UTC()})
	if err != nil {
		return err
	}
	path := modfile.ModulePath(mod)
	escaped, err := module.EscapePath(path)
	if err != nil {
		return err
	}
	into := filepath.Join(proxy, filepath.FromSlash(escaped), "@v")
	if err := os.MkdirAll(into, 0o750); err != nil { //nolint:gosec // As above.
		return err
	}
	for name, content := range map[string][]byte{
		"list": []byte(version + "\n"), version + ".info": info, version + ".mod": mod,
	} {
		err := os.WriteFile(filepath.Join(into, name), content, 0o600) //nolint:gosec // As above.
		if err != nil {
			return err
		}
	}
	file, err := os.Create(filepath.Join(into, version+".zip")) //nolint:gosec // As above.
	if err != nil {
		return err
	}
	if err := zip.CreateFromDir(file, module.Version{Path: path, Version: version}, folder); err != nil {
		return err
	}
	return file.Close()
}
