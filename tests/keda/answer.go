package main

import (
	"context"
	"fmt"
	"math"
	"runtime/debug"

	"github.com/kedacore/keda/v2/apis/keda/v1alpha1"
	"github.com/kedacore/keda/v2/pkg/scalers"
	"github.com/kedacore/keda/v2/pkg/scalers/scalersconfig"
	"k8s.io/api/autoscaling/v2"
)

// Answer is what the scaler says for one rule.
type Answer struct {
	App  string `json:"app"`
	Rule string `json:"rule"`
	// Active: the app is woken, or kept awake.
	Active bool `json:"active"`
	// Metric is the lag, cut down to what the partitions allow.
	Metric float64 `json:"metric"`
	// Target is the part of it that one replica is for.
	Target float64 `json:"target"`
	// Replicas that this rule alone asks for: none while it is not active. Of several rules of an app the highest counts.
	Replicas int64 `json:"replicas"`
	// LeftOut names what a local broker does not have.
	LeftOut []string `json:"leftOut"`
	// Error: nothing is known, and the replicas stay as they are.
	Error string `json:"error,omitempty"`
}

// What belongs to the logon in a rule's metadata.
var logon = []string{"sasl", "saslTokenProvider", "tls", "unsafeSsl"}

// Asks once, as KEDA does at each poll.
func (r Rule) ask(ctx context.Context, question Question) Answer {
	answer := Answer{App: r.app, Rule: r.Name, LeftOut: []string{}}
	config, err := r.config(question, &answer)
	if err == nil {
		err = r.askScaler(ctx, config, &answer)
	}
	if err != nil {
		answer.Error = err.Error()
	}
	return answer
}

// What KEDA's operator hands to the scaler.
func (r Rule) config(question Question, answer *Answer) (*scalersconfig.ScalerConfig, error) {
	if r.Custom.Type != "kafka" {
		return nil, fmt.Errorf("this is a rule of type %q; only those of type `kafka` can be asked here", r.Custom.Type)
	}
	metadata := map[string]string{}
	for name, value := range r.Custom.Metadata {
		metadata[name] = value
	}
	if question.BootstrapServers != "" {
		metadata["bootstrapServers"] = question.BootstrapServers
	}
	parameters := map[string]string{}
	var identity v1alpha1.AuthPodIdentity
	if len(question.Secrets) > 0 {
		for _, auth := range r.Custom.Auth {
			secret, found := question.Secrets[auth.SecretRef]
			if !found {
				return nil, fmt.Errorf("the rule takes %q from the secret %q, which is not among `secrets`", auth.TriggerParameter, auth.SecretRef)
			}
			parameters[auth.TriggerParameter] = secret
		}
		if r.Custom.Identity != "" {
			identity = v1alpha1.AuthPodIdentity{Provider: v1alpha1.PodIdentityProviderAzureWorkload, IdentityID: &r.Custom.Identity}
		}
	} else {
		for _, name := range logon {
			if _, found := metadata[name]; found {
				delete(metadata, name)
				answer.LeftOut = append(answer.LeftOut, name)
			}
		}
		if len(r.Custom.Auth) > 0 {
			answer.LeftOut = append(answer.LeftOut, "auth")
		}
		if r.Custom.Identity != "" {
			answer.LeftOut = append(answer.LeftOut, "identity")
		}
	}
	return &scalersconfig.ScalerConfig{
		ScalableObjectName: r.app,
		ScalableObjectType: "ScaledObject",
		TriggerType:        r.Custom.Type,
		TriggerName:        r.Name,
		TriggerMetadata:    metadata,
		TriggerIndex:       r.index,
		AuthParams:         parameters,
		PodIdentity:        identity,
		MetricType:         v2.AverageValueMetricType,
	}, nil
}

func (r Rule) askScaler(ctx context.Context, config *scalersconfig.ScalerConfig, answer *Answer) error {
	scaler, err := scalers.NewKafkaScaler(ctx, config)
	if err != nil {
		return err
	}
	defer scaler.Close(ctx)
	metric := scaler.GetMetricSpecForScaling(ctx)[0].External
	values, active, err := scaler.GetMetricsAndActivity(ctx, metric.Metric.Name)
	if err != nil {
		return err
	}
	answer.Active = active
	answer.Metric = values[0].Value.AsApproximateFloat64()
	answer.Target = metric.Target.AverageValue.AsApproximateFloat64()
	if active {
		// KEDA wakes the first one; the horizontal pod autoscaler does the rest, by this sum.
		wanted := max(1, int64(math.Ceil(answer.Metric/answer.Target)))
		answer.Replicas = min(r.maxReplicas, wanted)
	}
	return nil
}

// The version of KEDA whose scaler answers.
func scalerVersion() string {
	build, _ := debug.ReadBuildInfo()
	for _, module := range build.Deps {
		if module.Path == "github.com/kedacore/keda/v2" {
			return "KEDA " + module.Version
		}
	}
	return "KEDA"
}
