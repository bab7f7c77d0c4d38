package lab

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Proxy stands between a server and what it depends on, and hurts what passes.
type Proxy struct {
	Addr     string
	target   string
	listener net.Listener

	delay  atomic.Int64 // nanoseconds
	cuts   atomic.Int64
	mu     sync.Mutex
	budget func() int64
	losing bool
	links  map[*link]struct{}
	closed bool
}

// link is one connection through the proxy.
type link struct {
	proxy      *Proxy
	near, far  net.Conn
	left       atomic.Int64 // bytes until it is reset
	lost       atomic.Bool  // nothing passes
	ended      chan struct{}
	endingOnce sync.Once
}

// NewProxy listens on loopback and passes everything on to target.
func NewProxy(target string) (*Proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it listens until it is closed
	if err != nil {
		return nil, err
	}
	p := &Proxy{Addr: l.Addr().String(), target: target, listener: l, links: map[*link]struct{}{}}
	go p.accept()
	return p, nil
}

// CutAfter resets every connection, old and new, when as many bytes have passed
// in both directions together as budget says. Nil: never.
func (p *Proxy) CutAfter(budget func() int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.budget = budget
	for k := range p.links {
		k.limit(budget)
	}
}

// Delay makes everything late by d, in each direction.
func (p *Proxy) Delay(d time.Duration) { p.delay.Store(int64(d)) }

// Lose has connections stay open over which nothing passes any more: those that
// there are for good, and every new one until it is called with false.
func (p *Proxy) Lose(yes bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.losing = yes
	if yes {
		for k := range p.links {
			k.lost.Store(true)
		}
	}
}

// Cuts is how many connections were reset so far.
func (p *Proxy) Cuts() int64 { return p.cuts.Load() }

// Close ends the proxy and all connections.
func (p *Proxy) Close() {
	p.listener.Close()
	p.mu.Lock()
	p.closed = true
	links := p.links
	p.links = nil
	p.mu.Unlock()
	for k := range links {
		k.end()
	}
}

func (p *Proxy) accept() {
	for {
		near, err := p.listener.Accept()
		if err != nil {
			return
		}
		go p.serve(near)
	}
}

func (p *Proxy) serve(near net.Conn) {
	far, err := net.DialTimeout("tcp", p.target, 5*time.Second)
	if err != nil {
		reset(near)
		return
	}
	k := &link{proxy: p, near: near, far: far, ended: make(chan struct{})}
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		k.end()
		return
	}
	k.limit(p.budget)
	k.lost.Store(p.losing)
	p.links[k] = struct{}{}
	p.mu.Unlock()
	var wg sync.WaitGroup
	wg.Go(func() { k.pump(far, near) })
	wg.Go(func() { k.pump(near, far) })
	wg.Wait()
	k.end()
	p.mu.Lock()
	delete(p.links, k)
	p.mu.Unlock()
}

// limit sets how much may still pass. p.mu is held.
func (k *link) limit(budget func() int64) {
	k.left.Store(1 << 62)
	if budget != nil {
		k.left.Store(budget())
	}
}

// end resets both sides.
func (k *link) end() {
	k.endingOnce.Do(func() {
		close(k.ended)
		reset(k.near)
		reset(k.far)
	})
}

// parcel is some bytes and when they are to arrive.
type parcel struct {
	at   time.Time
	data []byte
}

// pump carries what comes from one side to the other until either is gone.
func (k *link) pump(to, from net.Conn) {
	parcels, delivered := make(chan parcel, 1024), make(chan struct{})
	go func() {
		k.deliver(to, parcels)
		close(delivered)
	}()
	err := k.collect(from, parcels)
	close(parcels)
	<-delivered
	half, ok := to.(*net.TCPConn)
	if !ok || !errors.Is(err, io.EOF) || half.CloseWrite() != nil {
		k.end()
	}
}

// collect returns the reason for which nothing more comes.
func (k *link) collect(from net.Conn, parcels chan<- parcel) error {
	for {
		data := make([]byte, 16<<10)
		n, err := from.Read(data)
		if n > 0 {
			select {
			case parcels <- parcel{time.Now().Add(time.Duration(k.proxy.delay.Load())), data[:n]}:
			case <-k.ended:
				return net.ErrClosed
			}
		}
		if err != nil {
			return err
		}
	}
}

func (k *link) deliver(to net.Conn, parcels <-chan parcel) {
	for p := range parcels {
		if wait := time.Until(p.at); wait > 0 {
			select {
			case <-time.After(wait):
			case <-k.ended:
				return
			}
		}
		if k.lost.Load() {
			continue
		}
		left := k.left.Add(-int64(len(p.data)))
		if left < 0 { // the last bytes that pass are those that were left
			p.data = p.data[:max(0, int64(len(p.data))+left)]
		}
		if _, err := to.Write(p.data); err != nil || left < 0 {
			if left < 0 {
				k.proxy.cuts.Add(1)
			}
			k.end()
			return
		}
	}
}
