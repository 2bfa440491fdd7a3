// go run ask.go HOST:PORT TEXT…, with what protoc makes from ../inference.proto.
package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"log"
	"os"
	"time"

	"example.com/emotions/inference" // made from ../inference.proto
	"google.golang.org/grpc"
)

var labels = [...]string{"no_emotion", "joy", "sadness", "surprise", "fear", "anger"}

func main() {
	url, texts := os.Args[1], os.Args[2:]
	connection, err := grpc.Dial(url, grpc.WithInsecure())
	if err != nil {
		log.Fatal(err)
	}
	client := inference.NewGRPCInferenceServiceClient(connection)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()

	contents := &inference.InferTensorContents{}
	for _, text := range texts {
		contents.BytesContents = append(contents.BytesContents, []byte(text))
	}
	shape := []int64{int64(len(texts)), 1}
	answer, err := client.ModelInfer(ctx, &inference.ModelInferRequest{
		ModelName: "emotion_rubert_text",
		Inputs:    []*inference.ModelInferRequest_InferInputTensor{{Name: "text", Datatype: "BYTES", Shape: shape, Contents: contents}},
		Outputs:   []*inference.ModelInferRequest_InferRequestedOutputTensor{{Name: "probabilities"}},
	})
	if err != nil {
		log.Fatal(err)
	}
	rows := make([][len(labels)]float32, len(texts))
	if err := binary.Read(bytes.NewReader(answer.RawOutputContents[0]), binary.LittleEndian, rows); err != nil {
		log.Fatal(err)
	}
	for row, probabilities := range rows {
		most := 0
		for label, probability := range probabilities {
			if probability > probabilities[most] {
				most = label
			}
		}
		fmt.Printf("%s %.3f %s\n", labels[most], probabilities[most], texts[row])
	}
}
