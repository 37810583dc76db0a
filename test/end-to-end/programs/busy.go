// Busy spends CPU and memory under known names, and writes what Go's own profilers saw of it.
package main

import (
	"context"
	"crypto/sha256"
	"os"
	"runtime"
	"runtime/pprof"
	"time"
)

var kept [][]byte
var sum [32]byte

//go:noinline
func hashForever(until time.Time) {
	block := make([]byte, 1024)
	for time.Now().Before(until) {
		sum = sha256.Sum256(append(block, sum[:]...))
	}
}

//go:noinline
func keepBlocks(count int) {
	for i := 0; i < count; i++ {
		kept = append(kept, make([]byte, 4096+i))
	}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	runtime.MemProfileRate = 4096
	cpu, err := os.Create(os.Args[1])
	must(err)
	must(pprof.StartCPUProfile(cpu))
	for _, handler := range []string{"search", "checkout"} {
		labels := pprof.Labels("handler", handler, "span_id", "00f067aa0ba902b7")
		pprof.Do(context.Background(), labels, func(context.Context) {
			hashForever(time.Now().Add(250 * time.Millisecond))
		})
	}
	hashForever(time.Now().Add(100 * time.Millisecond))
	pprof.StopCPUProfile()
	must(cpu.Close())

	keepBlocks(500)
	runtime.GC()
	heap, err := os.Create(os.Args[2])
	must(err)
	must(pprof.Lookup("heap").WriteTo(heap, 0))
	must(heap.Close())
	runtime.KeepAlive(kept)
}
