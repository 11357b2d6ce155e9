// Scores as a user of Go's net/http does, with its default settings, and writes what came as lines of JSON.
package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
)

func main() {
	address, name, files := os.Args[1], os.Args[2], strings.Split(os.Args[3], ",")
	for _, file := range files {
		body, err := os.Open(file)
		if err != nil {
			panic(err)
		}
		response, err := http.Post(address+"/models/"+url.PathEscape(name)+"/invocations", "application/json", body)
		if err != nil {
			panic(err)
		}
		said, err := io.ReadAll(response.Body)
		if err != nil {
			panic(err)
		}
		response.Body.Close()
		json.NewEncoder(os.Stdout).Encode(map[string]any{"status": response.StatusCode, "body": json.RawMessage(said)})
	}
}
