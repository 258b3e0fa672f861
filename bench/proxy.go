package main

import (
	"context"
	"fmt"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"sync"
)

// runReverseProxy runs the proxy of the standard library, with connections and buffers that are used again.
func runReverseProxy(ctx context.Context, upstream string) error {
	target := &url.URL{Scheme: "http", Host: upstream}
	_, listener, err := openFaces(ctx)
	if err != nil {
		return err
	}
	return newServer(&httputil.ReverseProxy{
		Rewrite:    func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:  tunedTransport(),
		BufferPool: new(bufferPool),
	}).Serve(listener)
}

type bufferPool struct{ buffers sync.Pool }

func (p *bufferPool) Get() []byte {
	if buffer, ok := p.buffers.Get().(*[32 << 10]byte); ok {
		return buffer[:]
	}
	return make([]byte, 32<<10)
}

func (p *bufferPool) Put(buffer []byte) { p.buffers.Put((*[32 << 10]byte)(buffer)) }

// writeNginxConfig writes the configuration of an nginx that does what the service's REST face does and no more: it
// keeps connections alive on both sides and has an access log. Its notices say when it is ready.
func writeNginxConfig(folder, address, seam string) (string, error) {
	file := filepath.Join(folder, "nginx.conf")
	text := fmt.Sprintf(`daemon off;
user root;
worker_processes auto;
worker_rlimit_nofile 16384;
pid %[1]s/nginx.pid;
error_log stderr notice;
events { worker_connections 8192; }
http {
  access_log %[1]s/nginx-access.log;
  client_body_temp_path %[1]s/body;
  proxy_temp_path %[1]s/proxy;
  fastcgi_temp_path %[1]s/fastcgi;
  uwsgi_temp_path %[1]s/uwsgi;
  scgi_temp_path %[1]s/scgi;
  keepalive_requests 100000000;
  upstream seam { server %[3]s; keepalive 1024; keepalive_requests 100000000; }
  server {
    listen %[2]s backlog=4096;
    location / { proxy_pass http://seam; proxy_http_version 1.1; proxy_set_header Connection ""; }
  }
}
`, folder, address, seam)
	return file, os.WriteFile(file, []byte(text), 0o600)
}
