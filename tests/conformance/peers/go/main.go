// Reports story.json with the official Go SDK over OTLP/gRPC; exits 1 when any export failed.
//
// Ids and times come from the story, so two runs of one invocation send equal requests.
package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"sort"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

type event struct {
	Name       string         `json:"name"`
	AtMs       int64          `json:"at_ms"`
	Attributes map[string]any `json:"attributes"`
}

type link struct {
	To         int            `json:"to"`
	Attributes map[string]any `json:"attributes"`
}

type span struct {
	Name       string         `json:"name"`
	Kind       string         `json:"kind"`
	StartMs    int64          `json:"start_ms"`
	EndMs      int64          `json:"end_ms"`
	Parent     *int           `json:"parent"`
	Attributes map[string]any `json:"attributes"`
	Events     []event        `json:"events"`
	Status     string         `json:"status"`
	Message    string         `json:"message"`
	Links      []link         `json:"links"`
}

type story struct {
	BaseMs   int64          `json:"base_ms"`
	Resource map[string]any `json:"resource"`
	Scope    struct {
		Name      string `json:"name"`
		Version   string `json:"version"`
		SchemaURL string `json:"schema_url"`
	} `json:"scope"`
	Spans []span `json:"spans"`
}

func (s *story) at(ms int64) time.Time { return time.UnixMilli(s.BaseMs + ms) }

// numbered gives 1, 2, 3, … under a seed.
type numbered struct {
	seed, traces, spans uint64
}

func (n *numbered) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	n.traces++
	var id trace.TraceID
	binary.BigEndian.PutUint64(id[:8], n.seed)
	binary.BigEndian.PutUint64(id[8:], n.traces)
	return id, n.NewSpanID(ctx, id)
}

func (n *numbered) NewSpanID(context.Context, trace.TraceID) trace.SpanID {
	n.spans++
	var id trace.SpanID
	binary.BigEndian.PutUint64(id[:], n.seed<<32|n.spans)
	return id
}

// checked notes every export's result.
type checked struct {
	sdktrace.SpanExporter
	exports, failures atomic.Int64
}

func (c *checked) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := c.SpanExporter.ExportSpans(ctx, spans)
	c.exports.Add(1)
	if err != nil {
		c.failures.Add(1)
		fmt.Fprintln(os.Stderr, "traces:", err)
	}
	return err
}

func attributes(told map[string]any) []attribute.KeyValue {
	keys := make([]string, 0, len(told))
	for key := range told {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	all := make([]attribute.KeyValue, 0, len(told))
	for _, key := range keys {
		all = append(all, attribute.KeyValue{Key: attribute.Key(key), Value: value(told[key])})
	}
	return all
}

func value(told any) attribute.Value {
	switch told := told.(type) {
	case bool:
		return attribute.BoolValue(told)
	case string:
		return attribute.StringValue(told)
	case json.Number:
		if whole, err := told.Int64(); err == nil {
			return attribute.Int64Value(whole)
		}
		real, _ := told.Float64()
		return attribute.Float64Value(real)
	case []any:
		if _, numeric := told[0].(json.Number); numeric {
			list := make([]int64, len(told))
			for i, one := range told {
				list[i], _ = one.(json.Number).Int64()
			}
			return attribute.Int64SliceValue(list)
		}
		list := make([]string, len(told))
		for i, one := range told {
			list[i] = one.(string)
		}
		return attribute.StringSliceValue(list)
	}
	panic(fmt.Sprintf("the story has a value of type %T", told))
}

var kinds = map[string]trace.SpanKind{
	"internal": trace.SpanKindInternal, "server": trace.SpanKindServer, "client": trace.SpanKindClient,
}

func tell(s *story, tracer trace.Tracer) {
	made := make([]trace.Span, 0, len(s.Spans))
	for _, told := range s.Spans {
		ctx := context.Background()
		if told.Parent != nil {
			ctx = trace.ContextWithSpan(ctx, made[*told.Parent])
		}
		options := []trace.SpanStartOption{
			trace.WithTimestamp(s.at(told.StartMs)), trace.WithSpanKind(kinds[told.Kind]),
			trace.WithAttributes(attributes(told.Attributes)...),
		}
		for _, l := range told.Links {
			options = append(options, trace.WithLinks(trace.Link{
				SpanContext: made[l.To].SpanContext(), Attributes: attributes(l.Attributes)}))
		}
		_, one := tracer.Start(ctx, told.Name, options...)
		for _, e := range told.Events {
			one.AddEvent(e.Name, trace.WithTimestamp(s.at(e.AtMs)), trace.WithAttributes(attributes(e.Attributes)...))
		}
		switch told.Status {
		case "error":
			one.SetStatus(codes.Error, told.Message)
		case "ok":
			one.SetStatus(codes.Ok, "")
		}
		made = append(made, one)
	}
	order := make([]int, len(made))
	for i := range order {
		order[i] = i
	}
	sort.SliceStable(order, func(a, b int) bool { return s.Spans[order[a]].EndMs < s.Spans[order[b]].EndMs })
	for _, i := range order {
		made[i].End(trace.WithTimestamp(s.at(s.Spans[i].EndMs)))
	}
}

func run() error {
	endpoint := flag.String("endpoint", "", "http://HOST:PORT")
	compression := flag.String("compression", "none", "none or gzip")
	seed := flag.Uint64("seed", 1, "first half of every id")
	path := flag.String("story", "", "story.json")
	flag.Parse()

	file, err := os.Open(*path)
	if err != nil {
		return err
	}
	defer file.Close()
	var s story
	decoder := json.NewDecoder(file)
	decoder.UseNumber()
	if err := decoder.Decode(&s); err != nil {
		return err
	}

	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	options := []otlptracegrpc.Option{
		otlptracegrpc.WithEndpoint(strings.TrimPrefix(*endpoint, "http://")), otlptracegrpc.WithInsecure(),
		otlptracegrpc.WithTimeout(10 * time.Second),
	}
	if *compression == "gzip" {
		options = append(options, otlptracegrpc.WithCompressor("gzip"))
	}
	exporter, err := otlptracegrpc.New(ctx, options...)
	if err != nil {
		return err
	}
	check := &checked{SpanExporter: exporter}
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithResource(resource.NewSchemaless(attributes(s.Resource)...)),
		sdktrace.WithIDGenerator(&numbered{seed: *seed}),
		sdktrace.WithBatcher(check, sdktrace.WithBatchTimeout(time.Minute)))
	tell(&s, provider.Tracer(s.Scope.Name, trace.WithInstrumentationVersion(s.Scope.Version),
		trace.WithSchemaURL(s.Scope.SchemaURL),
		trace.WithInstrumentationAttributes(attribute.String("peer", "go"))))
	if err := provider.Shutdown(ctx); err != nil {
		return err
	}
	fmt.Printf("{\"exports\": {\"traces\": %d}, \"failures\": %d}\n", check.exports.Load(), check.failures.Load())
	if check.exports.Load() == 0 || check.failures.Load() > 0 {
		return fmt.Errorf("%d of %d exports failed", check.failures.Load(), check.exports.Load())
	}
	return nil
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
