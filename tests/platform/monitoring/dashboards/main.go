// check-dashboard reads dashboards as strictly as Grafana's own schema allows: a field that it does not know, a missing
// one, or a value of another type is an error.
//
// usage: check-dashboard FILE...
package main

import (
	"fmt"
	"os"

	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

func check(name string) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	var read dashboard.Dashboard
	// it returns an error even when there is none in it
	if err := read.UnmarshalJSONStrict(text); err != nil && err.Error() != "" {
		return err
	}
	return read.Validate()
}

func main() {
	plugins.RegisterDefaultPlugins()
	for _, name := range os.Args[1:] {
		if err := check(name); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
			os.Exit(1)
		}
	}
}
