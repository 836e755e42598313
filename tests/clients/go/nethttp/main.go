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

func publish(url string) {
	for bodies := bufio.NewReader(os.Stdin); ; {
		body, err := bodies.ReadString('\n')
		if err == io.EOF {
			return
		}
		check(err)
		answer, err := http.Post(url, "application/json", strings.NewReader(strings.TrimSuffix(body, "\n")))
		check(err)
		text, err := io.ReadAll(answer.Body)
		check(err)
		answer.Body.Close()
		fmt.Println(answer.StatusCode, string(text))
	}
}

func subscribe(url string) {
	answer, err := http.Get(url)
	check(err)
	defer answer.Body.Close()
	_, err = io.Copy(os.Stdout, answer.Body)
	check(err)
	fmt.Println("end")
}

func main() {
	if os.Args[1] == "publish" {
		publish(os.Args[2])
	} else {
		subscribe(os.Args[2])
	}
}
