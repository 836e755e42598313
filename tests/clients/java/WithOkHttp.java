import java.io.*;
import java.time.Duration;
import java.util.concurrent.*;
import okhttp3.*;
import okhttp3.sse.*;
import static java.nio.charset.StandardCharsets.UTF_8;

/** OkHttp, with its event sources and WebSockets. */
public class WithOkHttp {
    static final OkHttpClient client = new OkHttpClient.Builder().readTimeout(Duration.ofSeconds(60)).build();
    static final PrintStream out = new PrintStream(new FileOutputStream(FileDescriptor.out), true, UTF_8);
    static final BufferedReader bodies = new BufferedReader(new InputStreamReader(System.in, UTF_8));
    static final BlockingQueue<String> texts = new LinkedBlockingQueue<>();

    static String next() throws Exception {
        return texts.poll(60, TimeUnit.SECONDS);
    }

    static void publish(Request.Builder to) throws Exception {
        for (String body; (body = bodies.readLine()) != null;) {
            var request = to.post(RequestBody.create(body, MediaType.get("application/json"))).build();
            try (var answer = client.newCall(request).execute()) {
                out.println(answer.code() + " " + answer.body().string());
            }
        }
    }

    static void subscribe(Request request) throws Exception {
        EventSources.createFactory(client).newEventSource(request, new EventSourceListener() {
            public void onEvent(EventSource source, String id, String type, String data) {
                out.println("event:" + type + "\ndata:" + data + "\n");
            }

            public void onClosed(EventSource source) {
                texts.add("end");
            }

            public void onFailure(EventSource source, Throwable error, Response answer) {
                texts.add("error " + error);
            }
        });
        out.println(next());
    }

    static class Listener extends WebSocketListener {
        public void onMessage(WebSocket ws, String text) {
            texts.add(text);
        }

        public void onClosing(WebSocket ws, int code, String reason) {
            ws.close(1000, null);
        }

        public void onClosed(WebSocket ws, int code, String reason) {
            texts.add("close " + code);
        }

        public void onFailure(WebSocket ws, Throwable error, Response answer) {
            texts.add("error " + error);
        }
    }

    static void speak(WebSocket ws) throws Exception {
        for (String body; (body = bodies.readLine()) != null;) {
            ws.send("{\"event\":\"publish\",\"data\":" + body + "}");
            String text = next();
            while (text.contains("\"event\":\"ping\"")) text = next();
            out.println(text);
        }
        ws.close(1000, null);
        out.println(next());
    }

    static void listen() throws Exception {
        for (String text = ""; !text.startsWith("close ") && !text.startsWith("error ");) {
            text = next();
            out.println(text);
        }
    }

    public static void main(String[] arguments) throws Exception {
        var request = new Request.Builder().url(arguments[1]);
        if (arguments[0].equals("publish")) {
            publish(request);
        } else if (arguments[0].equals("subscribe")) {
            subscribe(request.build());
        } else {
            var ws = client.newWebSocket(request.build(), new Listener());
            if (arguments[0].equals("ws-publish")) speak(ws);
            else listen();
        }
        System.exit(0); // its threads stay for a minute
    }
}
