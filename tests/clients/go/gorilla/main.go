package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/gorilla/websocket"
)

func check(err error) {
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

// closed prints the code of the server's Close frame.
func closed(err error) {
	end, isClose := err.(*websocket.CloseError)
	if !isClose {
		check(err)
	}
	fmt.Println("close", end.Code)
}

func publish(ws *websocket.Conn) {
	for bodies := bufio.NewScanner(os.Stdin); bodies.Scan(); {
		check(ws.WriteMessage(websocket.TextMessage, []byte(`{"event":"publish","data":`+bodies.Text()+"}")))
		_, text, err := ws.ReadMessage()
		for err == nil && strings.Contains(string(text), `"event":"ping"`) {
			_, text, err = ws.ReadMessage()
		}
		check(err)
		fmt.Println(string(text))
	}
	goodbye := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
	check(ws.WriteControl(websocket.CloseMessage, goodbye, time.Now().Add(time.Minute)))
	_, _, err := ws.ReadMessage()
	closed(err)
}

func subscribe(ws *websocket.Conn) {
	for {
		_, text, err := ws.ReadMessage()
		if err != nil {
			closed(err)
			return
		}
		fmt.Println(string(text))
	}
}

func main() {
	dialer := websocket.Dialer{EnableCompression: true} // an offer that Push declines
	ws, _, err := dialer.Dial(os.Args[2], nil)
	check(err)
	defer ws.Close()
	if os.Args[1] == "ws-publish" {
		publish(ws)
	} else {
		subscribe(ws)
	}
}
