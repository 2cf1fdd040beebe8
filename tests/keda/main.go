// keda-rules asks KEDA's own kafka scaler, as Container Apps runs it, what the scale rules of the deployment make of a
// broker: whether a stage is woken, and how many replicas it gets.
//
// It reads a JSON document from standard input:
//
//	{
//	  "apps": { "download": { "maxReplicas": 6, "rules": [ … ] } },
//	  "bootstrapServers": "127.0.0.1:9092",
//	  "secrets": { "scaler-username": "…", "scaler-password": "…" }
//	}
//
// `apps` are the `scale` blocks of the container apps, letter for letter as they stand in the compiled template.
// `bootstrapServers` leads every rule to another broker than its own. With `secrets` the rules log on there as they
// would in Azure; a certificate that the system does not know goes into SSL_CERT_FILE. Without `secrets` the broker is
// taken for a local one that takes anybody: `sasl`, `tls` and `auth` are left out, and each answer says so.
//
// It prints one answer for each rule. What cannot be asked is an error of its rule, not of the program.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// Sarama's own limits are half a minute for each of several steps.
const patience = 60 * time.Second

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "keda-rules:", err)
		os.Exit(1)
	}
}

func run() error {
	// Every error is in an answer already.
	log.SetLogger(logr.Discard())
	var question Question
	if err := json.NewDecoder(os.Stdin).Decode(&question); err != nil {
		return fmt.Errorf("the question on standard input cannot be read: %w", err)
	}
	if len(question.Secrets) == 0 && question.BootstrapServers == "" {
		return fmt.Errorf("the rules need `secrets` for their own broker, or `bootstrapServers` of a local one")
	}
	rules := question.rules()
	if len(rules) == 0 {
		return fmt.Errorf("there is no rule in `apps`")
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	answers := make([]Answer, len(rules))
	var asked sync.WaitGroup
	for i, rule := range rules {
		asked.Add(1)
		go func() {
			defer asked.Done()
			answers[i] = rule.ask(ctx, question)
		}()
	}
	asked.Wait()
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetIndent("", "  ")
	return encoder.Encode(map[string]any{"scaler": scalerVersion(), "answers": answers})
}
