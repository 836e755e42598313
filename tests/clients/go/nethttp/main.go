package main

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
)

func check(err error) {
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

// What is asked over TLS is asked by HTTP/2.
func checkVersion(answer *http.Response) {
	if (answer.ProtoMajor == 2) != (os.Getenv("HTTP2") != "") {
		check(fmt.Errorf("by %s", answer.Proto))
	}
}

func publish(url string) {
	for bodies := bufio.NewReader(os.Stdin); ; {
		body, err := bodies.ReadString('\n')
		if err == io.EOF {
			return
		}
		check(err)
		answer, err := http.Post(url, "application/json", strings.NewReader(strings.TrimSuffix(body, "\n")))
		check(err)
		checkVersion(answer)
		text, err := io.ReadAll(answer.Body)
		check(err)
		answer.Body.Close()
		fmt.Println(answer.StatusCode, string(text))
	}
}

func subscribe(url string, last []string) {
	request, err := http.NewRequest("GET", url, nil)
	check(err)
	for _, id := range last {
		request.Header.Set("Last-Event-ID", id)
	}
	answer, err := http.DefaultClient.Do(request)
	check(err)
	checkVersion(answer)
	defer answer.Body.Close()
	_, err = io.Copy(os.Stdout, answer.Body)
	check(err)
	fmt.Println("end")
}

func main() {
	if os.Args[1] == "publish" {
		publish(os.Args[2])
	} else {
		subscribe(os.Args[2], os.Args[3:])
	}
}
