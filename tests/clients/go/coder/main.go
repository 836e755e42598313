package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/coder/websocket"
)

var ctx = context.Background()

func check(err error) {
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func publish(ws *websocket.Conn) {
	for bodies := bufio.NewScanner(os.Stdin); bodies.Scan(); {
		check(ws.Write(ctx, websocket.MessageText, []byte(`{"event":"publish","data":`+bodies.Text()+"}")))
		_, text, err := ws.Read(ctx)
		for err == nil && strings.Contains(string(text), `"event":"ping"`) {
			_, text, err = ws.Read(ctx)
		}
		check(err)
		fmt.Println(string(text))
	}
	check(ws.Close(websocket.StatusNormalClosure, "")) // it waits for the server's Close
	fmt.Println("close 1000")
}

func subscribe(ws *websocket.Conn) {
	ws.SetReadLimit(1 << 20)
	for {
		_, text, err := ws.Read(ctx)
		if code := websocket.CloseStatus(err); code != -1 {
			fmt.Println("close", int(code))
			return
		}
		check(err)
		fmt.Println(string(text))
	}
}

func main() {
	ws, _, err := websocket.Dial(ctx, os.Args[2], &websocket.DialOptions{CompressionMode: websocket.CompressionContextTakeover})
	check(err)
	defer ws.CloseNow()
	if os.Args[1] == "ws-publish" {
		publish(ws)
	} else {
		subscribe(ws)
	}
}
