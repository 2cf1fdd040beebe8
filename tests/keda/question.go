package main

import "sort"

// Question is what the program reads.
type Question struct {
	// Apps holds the `scale` block of each container app.
	Apps map[string]Scale `json:"apps"`
	// BootstrapServers takes the place of the rules' own, if it is given.
	BootstrapServers string `json:"bootstrapServers"`
	// Secrets holds the values of what the rules' `secretRef` name.
	Secrets map[string]string `json:"secrets"`
}

// Scale is `properties.template.scale` of a container app, as far as the scaler is concerned.
type Scale struct {
	MaxReplicas int64       `json:"maxReplicas"`
	Rules       []ScaleRule `json:"rules"`
}

// ScaleRule is one of its rules.
type ScaleRule struct {
	Name   string `json:"name"`
	Custom Custom `json:"custom"`
}

// Custom is a rule for one of KEDA's scalers. Its metadata are strings, all of them: nothing else can be read into it.
type Custom struct {
	Type     string            `json:"type"`
	Metadata map[string]string `json:"metadata"`
	Auth     []Auth            `json:"auth"`
	Identity string            `json:"identity"`
}

// Auth fills a parameter of the scaler from a secret of the app.
type Auth struct {
	SecretRef        string `json:"secretRef"`
	TriggerParameter string `json:"triggerParameter"`
}

// Rule is a rule with the app that it is of.
type Rule struct {
	app         string
	index       int
	maxReplicas int64
	ScaleRule
}

// The rules of all apps, by the names of the apps, in the order in which they stand there.
func (q Question) rules() []Rule {
	var names []string
	for name := range q.Apps {
		names = append(names, name)
	}
	sort.Strings(names)
	var rules []Rule
	for _, name := range names {
		for index, rule := range q.Apps[name].Rules {
			rules = append(rules, Rule{name, index, q.Apps[name].MaxReplicas, rule})
		}
	}
	return rules
}
