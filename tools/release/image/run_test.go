package main

import (
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/clientsession/client-session-service/service/servicetest"
)

const nobody = 65532

// unpack writes the files of the image for this machine into a folder in which nobody may write.
func unpack(t *testing.T) string {
	t.Helper()
	image, ok := images(t, readIndex(t, repository+"dist/image"))["linux/"+runtime.GOARCH]
	if !ok || runtime.GOOS != "linux" {
		t.Fatalf("there is no image for %s/%s: run the tests on linux/amd64 or linux/arm64", runtime.GOOS, runtime.GOARCH)
	}
	root := filepath.Join(t.TempDir(), "root")
	var folders []string
	for path, file := range files(t, image) {
		full := filepath.Join(root, path)
		if file.header.FileInfo().IsDir() {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, file.content, file.header.FileInfo().Mode()&0o555); err != nil {
			t.Fatal(err)
		}
	}
	err := filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			folders = append(folders, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, folder := range folders {
			_ = os.Chmod(folder, 0o755)
		}
	})
	for _, folder := range folders {
		if err := os.Chmod(folder, 0o555); err != nil {
			t.Fatal(err)
		}
	}
	// The parents are of the test alone otherwise.
	for parent := filepath.Dir(root); parent != os.TempDir() && parent != "/"; parent = filepath.Dir(parent) {
		_ = os.Chmod(parent, 0o755)
	}
	return root
}

// command runs the program of the image as its user, with the files of the image as its whole file system: there is no
// /proc, no /dev and no /tmp, which a container would have. Who is not root gets a user namespace for it.
func command(t *testing.T, root string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Dir, cmd.Env = "/", []string{}
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() == 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
	} else {
		cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: nobody, HostID: os.Geteuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: nobody, HostID: os.Getegid(), Size: 1}}
	}
	return cmd
}

// start starts the service of the image and returns when it is ready. It takes root, or user namespaces for everybody.
func start(t *testing.T, root string, flags ...string) *servicetest.Process {
	t.Helper()
	p := servicetest.Start(t, command(t, root, append(append(servicetest.Listen(), "--drain-delay=0s"), flags...)...))
	p.AwaitReady()
	return p
}

// post makes a call over REST and returns the status and the body.
func post(t *testing.T, address, path, body string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+address+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer seam_testSand_sandboxsandboxsandboxsan")
	client := http.Client{Timeout: 20 * time.Second}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%d %s", response.StatusCode, content)
}

// TestImageRuns shows that the program needs nothing but what is in the image, and no right to write.
func TestImageRuns(t *testing.T) {
	root := unpack(t)
	want := rebuild(t).version
	if out, err := command(t, root, "--version").CombinedOutput(); strings.TrimSpace(string(out)) != want || err != nil {
		t.Errorf("--version says %q (%v), want %q", out, err, want)
	}
	service := start(t, root, "--sandbox")
	if out, err := command(t, root, "healthcheck", "--admin-listen="+service.Admin).CombinedOutput(); err != nil {
		t.Errorf("healthcheck: %v: %s", err, out)
	}
	grant := `{"client_session_id": "3ada79d3-2848-4320-b2ef-a82e1e6dafac",
		"connected_account_ids": ["c35ecf64-474a-466a-95a6-7b35cb4c8bb4"]}`
	if got := post(t, service.HTTP, "/client_sessions/grant_access", grant); !strings.HasPrefix(got, `200 {"client_session":`) {
		t.Errorf("GrantAccess gets %s", got)
	}
	service.Stop()
	if out, err := command(t, root, "healthcheck", "--admin-listen="+service.Admin).CombinedOutput(); err == nil {
		t.Errorf("healthcheck passes without a service: %s", out)
	}
}

// TestImageTrustsItsRoots shows that the program uses the root certificates of the image: with the authority of a
// stand-in for Seam among them it makes a call, and without it there is none.
func TestImageTrustsItsRoots(t *testing.T) {
	var requests atomic.Int32
	seam := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"ok": true}`)
	}))
	seam.Config.ErrorLog = log.New(io.Discard, "", 0)
	seam.StartTLS()
	defer seam.Close()
	root := unpack(t)
	revoke := `{"client_session_id": "3ada79d3-2848-4320-b2ef-a82e1e6dafac"}`

	service := start(t, root, "--seam-endpoint="+seam.URL)
	got := post(t, service.HTTP, "/client_sessions/revoke", revoke)
	service.Stop()
	said := service.Log()
	if !strings.Contains(got, "upstream_unreachable") || !strings.Contains(said, "unknown authority") || requests.Load() > 0 {
		t.Errorf("with an unknown authority, a call gets %s; Seam gets %d requests; the log is %s", got, requests.Load(), said)
	}

	path := filepath.Join(root, certFile)
	bundle, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: seam.Certificate().Raw})
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(bundle, authority...), 0o644); err != nil {
		t.Fatal(err)
	}
	service = start(t, root, "--seam-endpoint="+seam.URL)
	if got := post(t, service.HTTP, "/client_sessions/revoke", revoke); got != `200 {"ok": true}` || requests.Load() != 1 {
		t.Errorf("with a known authority, a call gets %s; Seam gets %d requests", got, requests.Load())
	}
}
