// java Ask HOST:PORT TEXT…, once compiled with grpc-java and what protoc makes from ../inference.proto.
import static inference.ModelInferRequest.*;

import com.google.protobuf.ByteString;
import inference.*;
import io.grpc.*;
import java.nio.ByteOrder;
import java.util.*;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;

class Ask {
  static final List<String> LABELS = List.of("no_emotion", "joy", "sadness", "surprise", "fear", "anger");

  public static void main(String[] arguments) throws Exception {
    var texts = Arrays.asList(arguments).subList(1, arguments.length);
    var channel = Grpc.newChannelBuilder(arguments[0], InsecureChannelCredentials.create()).build();
    var client = GRPCInferenceServiceGrpc.newBlockingStub(channel).withDeadlineAfter(30, TimeUnit.SECONDS);

    var contents = InferTensorContents.newBuilder();
    texts.forEach(text -> contents.addBytesContents(ByteString.copyFromUtf8(text)));
    var input = InferInputTensor.newBuilder().setName("text").setDatatype("BYTES");
    input.addShape(texts.size()).addShape(1).setContents(contents);
    var output = InferRequestedOutputTensor.newBuilder().setName("probabilities");
    var request = newBuilder().setModelName("emotion_rubert_text").addInputs(input).addOutputs(output).build();
    var bytes = client.modelInfer(request).getRawOutputContents(0).asReadOnlyByteBuffer();
    var numbers = bytes.order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer();

    for (var text : texts) {
      var probabilities = new float[LABELS.size()];
      numbers.get(probabilities);
      var most = IntStream.range(0, LABELS.size()).boxed().max(Comparator.comparing(i -> probabilities[i])).get();
      System.out.printf(Locale.ROOT, "%s %.3f %s%n", LABELS.get(most), probabilities[most], text);
    }
    channel.shutdownNow().awaitTermination(5, TimeUnit.SECONDS);
  }
}
