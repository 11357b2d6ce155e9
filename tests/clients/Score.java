// Scores as a user of Java's own HttpClient does, with its default settings, and writes what came as lines of JSON.

import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

public class Score {
    public static void main(String[] words) throws Exception {
        var client = HttpClient.newHttpClient();
        var url = words[0] + "/models/" + URLEncoder.encode(words[1], StandardCharsets.UTF_8) + "/invocations";
        for (var file : words[2].split(",")) {
            var request = HttpRequest.newBuilder(URI.create(url))
                .header("Content-Type", "application/json")
                .POST(HttpRequest.BodyPublishers.ofString(Files.readString(Path.of(file))))
                .build();
            var response = client.send(request, HttpResponse.BodyHandlers.ofString());
            System.out.println("{\"status\": " + response.statusCode() + ", \"body\": " + response.body() + "}");
        }
    }
}
