// Command clients asks a server by the clients that Go programs use: Connect's, which Grafana's data
// source and Alloy have, and gRPC's. The first argument is the server's URL, the second, if any, a file
// with its certificate. A line in is a call, {"client","method","request"}; a line out what came of it,
// {"code","message","answer"}. Messages are JSON as protobuf defines it.
package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"time"

	"connectrpc.com/connect"
	"github.com/grafana/pyroscope/api/gen/proto/go/push/v1/pushv1connect"
	"github.com/grafana/pyroscope/api/gen/proto/go/querier/v1/querierv1connect"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

type call struct {
	Client  string          `json:"client"`
	Method  string          `json:"method"`
	Request json.RawMessage `json:"request"`
}

type outcome struct {
	Code    string          `json:"code"`
	Message string          `json:"message"`
	Answer  json.RawMessage `json:"answer,omitempty"`
}

// connectClients has the calls of all services.
type connectClients struct {
	querierv1connect.QuerierServiceClient
	pushv1connect.PusherServiceClient
}

// method knows the messages of one RPC and how Connect's client calls it.
type method struct {
	newRequest func() proto.Message
	newAnswer  func() proto.Message
	connect    func(context.Context, connectClients, proto.Message) (proto.Message, error)
}

func of[Client, I, O any, PI interface {
	*I
	proto.Message
}, PO interface {
	*O
	proto.Message
}](rpc func(Client, context.Context, *connect.Request[I]) (*connect.Response[O], error)) method {
	return method{
		newRequest: func() proto.Message { return PI(new(I)) },
		newAnswer:  func() proto.Message { return PO(new(O)) },
		connect: func(ctx context.Context, clients connectClients, request proto.Message) (proto.Message, error) {
			answer, err := rpc(any(clients).(Client), ctx, connect.NewRequest((*I)(request.(PI))))
			if err != nil {
				return nil, err
			}
			return PO(answer.Msg), nil
		},
	}
}

type querier = querierv1connect.QuerierServiceClient

var methods = map[string]method{
	"push.v1.PusherService/Push":                       of(pushv1connect.PusherServiceClient.Push),
	"querier.v1.QuerierService/ProfileTypes":           of(querier.ProfileTypes),
	"querier.v1.QuerierService/LabelNames":             of(querier.LabelNames),
	"querier.v1.QuerierService/LabelValues":            of(querier.LabelValues),
	"querier.v1.QuerierService/Series":                 of(querier.Series),
	"querier.v1.QuerierService/SelectSeries":           of(querier.SelectSeries),
	"querier.v1.QuerierService/SelectHeatmap":          of(querier.SelectHeatmap),
	"querier.v1.QuerierService/SelectMergeStacktraces": of(querier.SelectMergeStacktraces),
	"querier.v1.QuerierService/SelectMergeSpanProfile": of(querier.SelectMergeSpanProfile),
	"querier.v1.QuerierService/SelectMergeProfile":     of(querier.SelectMergeProfile),
	"querier.v1.QuerierService/Diff":                   of(querier.Diff),
	"querier.v1.QuerierService/GetProfileStats":        of(querier.GetProfileStats),
	"querier.v1.QuerierService/AnalyzeQuery":           of(querier.AnalyzeQuery),
}

// ask makes one call by one client.
type ask func(ctx context.Context, name string, request proto.Message) (proto.Message, error)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	clients, err := openClients(os.Args[1:])
	if err != nil {
		return err
	}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var asked call
		if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
			return err
		}
		rpc, known := methods[asked.Method]
		client := clients[asked.Client]
		if !known || client == nil {
			return fmt.Errorf("no client %q or no method %q", asked.Client, asked.Method)
		}
		told, err := answer(client, rpc, asked)
		if err != nil {
			return err
		}
		line, err := json.Marshal(told)
		if err != nil {
			return err
		}
		fmt.Println(string(line))
	}
	return lines.Err()
}

func answer(client ask, rpc method, asked call) (outcome, error) {
	request := rpc.newRequest()
	if err := protojson.Unmarshal(asked.Request, request); err != nil {
		return outcome{}, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	message, err := client(ctx, asked.Method, request)
	if err != nil {
		return refusal(err), nil
	}
	text, err := protojson.Marshal(message)
	return outcome{Code: "ok", Answer: text}, err
}

// refusal names the code as Connect does, whichever library it is from.
func refusal(err error) outcome {
	var connectError *connect.Error
	if errors.As(err, &connectError) {
		return outcome{Code: connectError.Code().String(), Message: connectError.Message()}
	}
	told := status.Convert(err)
	return outcome{Code: connect.Code(told.Code()).String(), Message: told.Message()}
}

// openClients makes every client for a server.
func openClients(arguments []string) (map[string]ask, error) {
	if len(arguments) == 0 {
		return nil, errors.New("usage: clients URL [CERTIFICATE]")
	}
	base := arguments[0]
	address, err := url.Parse(base)
	if err != nil {
		return nil, err
	}
	var trust *tls.Config
	if len(arguments) > 1 {
		certificate, err := os.ReadFile(arguments[1])
		if err != nil {
			return nil, err
		}
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(certificate)
		trust = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	overGRPC, err := grpcClient(address.Host, trust)
	if err != nil {
		return nil, err
	}
	http1, http2 := new(http.Protocols), new(http.Protocols)
	http1.SetHTTP1(true)
	// In clear by prior knowledge, by TLS as it is agreed on.
	http2.SetUnencryptedHTTP2(trust == nil)
	http2.SetHTTP2(trust != nil)
	overConnect := func(protocols *http.Protocols, options ...connect.ClientOption) ask {
		transport := &http.Transport{Protocols: protocols, TLSClientConfig: trust.Clone()}
		client := &http.Client{Transport: transport}
		clients := connectClients{
			querierv1connect.NewQuerierServiceClient(client, base, options...),
			pushv1connect.NewPusherServiceClient(client, base, options...),
		}
		return func(ctx context.Context, name string, request proto.Message) (proto.Message, error) {
			return methods[name].connect(ctx, clients, request)
		}
	}
	return map[string]ask{
		"connect HTTP/1.1":      overConnect(http1),
		"connect HTTP/2":        overConnect(http2),
		"connect gzip HTTP/1.1": overConnect(http1, connect.WithSendGzip()),
		"connect JSON HTTP/2":   overConnect(http2, connect.WithProtoJSON()),
		"connect gRPC":          overConnect(http2, connect.WithGRPC()),
		"connect gRPC-Web":      overConnect(http1, connect.WithGRPCWeb()),
		"gRPC":                  overGRPC,
	}, nil
}

func grpcClient(host string, trust *tls.Config) (ask, error) {
	security := insecure.NewCredentials()
	if trust != nil {
		security = credentials.NewTLS(trust.Clone())
	}
	connection, err := grpc.NewClient(host,
		grpc.WithTransportCredentials(security),
		grpc.WithDefaultCallOptions(grpc.UseCompressor(gzip.Name)))
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, name string, request proto.Message) (proto.Message, error) {
		message := methods[name].newAnswer()
		err := connection.Invoke(ctx, "/"+name, request, message)
		return message, err
	}, nil
}
