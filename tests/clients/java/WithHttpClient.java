import java.io.*;
import java.net.URI;
import java.net.http.*;
import java.net.http.HttpResponse.BodyHandlers;
import java.util.concurrent.*;
import static java.nio.charset.StandardCharsets.UTF_8;

/** java.net.http; its requests offer HTTP/2 with Upgrade: h2c. */
public class WithHttpClient {
    static final HttpClient client = HttpClient.newHttpClient();
    static final PrintStream out = new PrintStream(new FileOutputStream(FileDescriptor.out), true, UTF_8);
    static final BufferedReader bodies = new BufferedReader(new InputStreamReader(System.in, UTF_8));

    static void publish(URI url) throws Exception {
        for (String body; (body = bodies.readLine()) != null;) {
            var request = HttpRequest.newBuilder(url).header("Content-Type", "application/json")
                    .POST(HttpRequest.BodyPublishers.ofString(body)).build();
            var answer = client.send(request, BodyHandlers.ofString());
            out.println(answer.statusCode() + " " + answer.body());
        }
    }

    static void subscribe(URI url) throws Exception {
        var answer = client.send(HttpRequest.newBuilder(url).build(), BodyHandlers.ofLines());
        answer.body().forEach(out::println);
        out.println("end");
    }

    /** Whole texts, and at the end the code of the Close frame. */
    static class Listener implements WebSocket.Listener {
        final BlockingQueue<String> texts = new LinkedBlockingQueue<>();
        final StringBuilder parts = new StringBuilder();

        public CompletionStage<?> onText(WebSocket ws, CharSequence data, boolean last) {
            parts.append(data);
            if (last) {
                texts.add(parts.toString());
                parts.setLength(0);
            }
            ws.request(1);
            return null;
        }

        public CompletionStage<?> onClose(WebSocket ws, int code, String reason) {
            texts.add("close " + code);
            return null;
        }

        public void onError(WebSocket ws, Throwable error) {
            texts.add("error " + error);
        }
    }

    static String next(Listener listener) throws Exception {
        return listener.texts.poll(60, TimeUnit.SECONDS);
    }

    static void speak(WebSocket ws, Listener listener) throws Exception {
        for (String body; (body = bodies.readLine()) != null;) {
            ws.sendText("{\"event\":\"publish\",\"data\":" + body + "}", true).join();
            String text = next(listener);
            while (text.contains("\"event\":\"ping\"")) text = next(listener);
            out.println(text);
        }
        ws.sendClose(WebSocket.NORMAL_CLOSURE, "").join();
        out.println(next(listener));
    }

    static void listen(Listener listener) throws Exception {
        for (String text = ""; !text.startsWith("close ") && !text.startsWith("error ");) {
            text = next(listener);
            out.println(text);
        }
    }

    public static void main(String[] arguments) throws Exception {
        var url = URI.create(arguments[1]);
        if (arguments[0].equals("publish")) {
            publish(url);
        } else if (arguments[0].equals("subscribe")) {
            subscribe(url);
        } else {
            var listener = new Listener();
            var ws = client.newWebSocketBuilder().buildAsync(url, listener).join();
            if (arguments[0].equals("ws-publish")) speak(ws, listener);
            else listen(listener);
        }
    }
}
