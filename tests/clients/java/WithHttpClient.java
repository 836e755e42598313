import java.io.*;
import java.net.URI;
import java.net.http.*;
import java.net.http.HttpResponse.BodyHandlers;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.util.Arrays;
import java.util.concurrent.*;
import javax.net.ssl.*;
import static java.nio.charset.StandardCharsets.UTF_8;

/** java.net.http; its requests offer HTTP/2 with Upgrade: h2c, or by ALPN over TLS. */
public class WithHttpClient {
    static final HttpClient client = System.getenv("HTTP2") == null ? HttpClient.newHttpClient() : overTls();
    static final PrintStream out = new PrintStream(new FileOutputStream(FileDescriptor.out), true, UTF_8);
    static final BufferedReader bodies = new BufferedReader(new InputStreamReader(System.in, UTF_8));

    static HttpClient overTls() {
        try (var file = new FileInputStream(System.getenv("SSL_CERT_FILE"))) {
            var store = KeyStore.getInstance(KeyStore.getDefaultType());
            store.load(null);
            store.setCertificateEntry("push", CertificateFactory.getInstance("X.509").generateCertificate(file));
            var trusted = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
            trusted.init(store);
            var context = SSLContext.getInstance("TLS");
            context.init(null, trusted.getTrustManagers(), null);
            return HttpClient.newBuilder().sslContext(context).build();
        } catch (Exception error) {
            throw new RuntimeException(error);
        }
    }

    static void check(HttpResponse<?> answer) {
        if ((answer.version() == HttpClient.Version.HTTP_2) != (System.getenv("HTTP2") != null))
            throw new RuntimeException("by " + answer.version());
    }

    static void publish(URI url) throws Exception {
        for (String body; (body = bodies.readLine()) != null;) {
            var request = HttpRequest.newBuilder(url).header("Content-Type", "application/json")
                    .POST(HttpRequest.BodyPublishers.ofString(body)).build();
            var answer = client.send(request, BodyHandlers.ofString());
            check(answer);
            out.println(answer.statusCode() + " " + answer.body());
        }
    }

    static void subscribe(URI url, String... last) throws Exception {
        var request = HttpRequest.newBuilder(url);
        for (var id : last) request.header("Last-Event-ID", id);
        var answer = client.send(request.build(), BodyHandlers.ofLines());
        check(answer);
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
            subscribe(url, Arrays.copyOfRange(arguments, 2, arguments.length));
        } else {
            var listener = new Listener();
            var ws = client.newWebSocketBuilder().buildAsync(url, listener).join();
            if (arguments[0].equals("ws-publish")) speak(ws, listener);
            else listen(listener);
        }
    }
}
