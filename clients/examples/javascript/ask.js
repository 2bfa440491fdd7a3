// node ask.js HOST:PORT TEXT…
import grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";

const LABELS = ["no_emotion", "joy", "sadness", "surprise", "fear", "anger"];
const [url, ...texts] = process.argv.slice(2);
const { inference } = grpc.loadPackageDefinition(loadSync(new URL("../inference.proto", import.meta.url).pathname));
const client = new inference.GRPCInferenceService(url, grpc.credentials.createInsecure());

const contents = { bytesContents: texts.map((text) => Buffer.from(text)) };
const request = {
  modelName: "emotion_rubert_text",
  inputs: [{ name: "text", datatype: "BYTES", shape: [texts.length, 1], contents }],
  outputs: [{ name: "probabilities" }],
};
client.modelInfer(request, { deadline: Date.now() + 30_000 }, (error, answer) => {
  if (error) throw error;
  const [numbers] = answer.rawOutputContents;
  texts.forEach((text, row) => {
    const probabilities = LABELS.map((_, label) => numbers.readFloatLE(4 * (LABELS.length * row + label)));
    const most = Math.max(...probabilities);
    console.log(LABELS[probabilities.indexOf(most)], most.toFixed(3), text);
  });
});
