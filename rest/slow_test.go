package rest_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"carillon/internal/id"
	"carillon/internal/reqlog"
	"carillon/rest"
)

// pipes are connections in memory: their deadlines pass with a bubble's time.
type pipes struct {
	made   chan net.Conn
	closed chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.made:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { close(p.closed); return nil }
func (p *pipes) Addr() net.Addr { return &net.IPAddr{} }

// dialTimed starts a server with one route, as it is beneath the log of requests,
// and sends it a request with a body.
func dialTimed(t *testing.T, pattern string, access rest.Access, h rest.Handler, body string) net.Conn {
	t.Helper()
	p := &pipes{make(chan net.Conn), make(chan struct{})}
	router, s := &rest.Router{}, surface()
	access.Open = true
	router.Handle(s, pattern, access, h)
	logged := reqlog.Middleware{Log: slog.New(slog.DiscardHandler), IDs: new(id.Source)}
	server := &http.Server{Handler: logged.Wrap(router), ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)}
	go server.Serve(p)
	ours, theirs := net.Pipe()
	t.Cleanup(func() { ours.Close(); server.Close() })
	_ = ours.SetDeadline(time.Now().Add(3 * time.Hour))
	p.made <- theirs
	fmt.Fprintf(ours, "%s HTTP/1.1\r\nHost: here\r\nContent-Length: %d\r\n\r\n%s", pattern, len(body), body)
	return ours
}

// readAnswer reads an answer and returns its body, and whether that was cut.
func readAnswer(t *testing.T, conn net.Conn) ([]byte, error) {
	t.Helper()
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	return io.ReadAll(res.Body)
}

func wait(d time.Duration) { time.Sleep(d) } //nolint:forbidigo // a bubble's time

// download is a handler whose answer is a stream.
func download(write func(r *http.Request, w io.Writer) error) rest.Handler {
	return func(r *http.Request) (int, any, error) {
		return http.StatusOK, rest.Stream{Type: "text/csv", Filename: "x.csv", Write: func(w io.Writer) error { return write(r, w) }}, nil
	}
}

func TestADownloadMayTakeAsLongAsItsRouteSays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		conn := dialTimed(t, "GET /x", rest.Access{Within: time.Hour}, download(func(r *http.Request, w io.Writer) error {
			for range 10 {
				io.WriteString(w, strings.Repeat("x", 10_000))
				wait(5 * time.Minute)
				if err := r.Context().Err(); err != nil {
					return err
				}
			}
			return nil
		}), "")
		if body, err := readAnswer(t, conn); len(body) != 100_000 || err != nil {
			t.Errorf("%d bytes, %v", len(body), err)
		}
	})
}

func TestAnUploadThatIsWholeIsNoLongerTimed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		conn := dialTimed(t, "POST /x", rest.Access{Within: time.Hour}, func(r *http.Request) (int, any, error) {
			file, err := rest.Upload(r, 100, "text/csv")
			if err != nil {
				return 0, nil, err
			}
			body, err := io.ReadAll(file)
			if _, again := file.Read(make([]byte, 1)); err != nil || !errors.Is(again, io.EOF) {
				t.Errorf("reading: %v, then %v", err, again)
			}
			wait(5 * time.Minute)
			return http.StatusOK, string(body), r.Context().Err()
		}, "a,b")
		if body, err := readAnswer(t, conn); string(body) != `"a,b"` || err != nil {
			t.Errorf("%s, %v", body, err)
		}
	})
}

func TestADownloadThatFailsIsSeenToBeCut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		conn := dialTimed(t, "GET /x", rest.Access{}, download(func(_ *http.Request, w io.Writer) error {
			io.WriteString(w, strings.Repeat("x", 10_000))
			return errors.New("the database is gone")
		}), "")
		if body, err := readAnswer(t, conn); err == nil {
			t.Errorf("%d bytes look like all of it", len(body))
		}
	})
}

// TestWhoDoesNotReadIsLeft has clients that send a request and read nothing for a
// minute, or nothing but the beginning.
func TestWhoDoesNotReadIsLeft(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("x", 100_000)
	for name, h := range map[string]rest.Handler{
		"Answer":    func(*http.Request) (int, any, error) { return http.StatusOK, large, nil },
		"Page":      func(*http.Request) (int, any, error) { return http.StatusOK, rest.Page(large), nil },
		"Error":     func(*http.Request) (int, any, error) { return 0, nil, &rest.Error{Status: 400, Message: large} },
		"Download":  download(func(_ *http.Request, w io.Writer) error { _, err := io.WriteString(w, large); return err }),
		"SmallLast": download(func(_ *http.Request, w io.Writer) error { _, err := io.WriteString(w, "x"); return err }),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				conn := dialTimed(t, "GET /x", rest.Access{}, h, "")
				wait(time.Minute)
				if late, err := io.ReadAll(conn); len(late) > 0 || err != nil {
					t.Errorf("the server waited a minute, then sent %d bytes, %v", len(late), err)
				}
			})
		})
	}
}

// TestTheEndOfADownloadHasItsOwnTime has the last bytes written long before the
// end, so that the server still holds them then.
func TestTheEndOfADownloadHasItsOwnTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		conn := dialTimed(t, "GET /x", rest.Access{Within: time.Hour}, download(func(_ *http.Request, w io.Writer) error {
			_, err := w.Write(bytes.Repeat([]byte("x"), 100))
			wait(5 * time.Minute)
			return err
		}), "")
		if body, err := readAnswer(t, conn); len(body) != 100 || err != nil {
			t.Errorf("%d bytes, %v", len(body), err)
		}
	})
}
