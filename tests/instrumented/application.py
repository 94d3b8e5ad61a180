"""An application as people write it, run in the instrumentors' own environment: asks the model one question.

`python application.py CONVENTION MODEL_URL QUESTION`; OTEL_* variables set the exporter. Prints the trace id.
"""

import sys

from openai import OpenAI
from opentelemetry import trace
from opentelemetry._logs import set_logger_provider
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor


def main() -> None:
    convention, model_url, question = sys.argv[1:]
    spans, logs = TracerProvider(), LoggerProvider()
    spans.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    logs.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
    trace.set_tracer_provider(spans)
    set_logger_provider(logs)
    instrument(convention)
    client = OpenAI(base_url=model_url, api_key="none", max_retries=0)
    with trace.get_tracer("application").start_as_current_span("answer a customer") as span:
        client.chat.completions.create(
            model="gpt-4o-mini",
            messages=[{"role": "system", "content": "Answer briefly."}, {"role": "user", "content": question}],
        )
        sys.stdout.write(f"{span.get_span_context().trace_id:032x}\n")
    logs.shutdown()
    spans.shutdown()


def instrument(convention: str) -> None:
    if convention == "openinference":
        from openinference.instrumentation.openai import OpenAIInstrumentor

        OpenAIInstrumentor().instrument()
    else:
        from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor as OpenTelemetryInstrumentor

        OpenTelemetryInstrumentor().instrument()


main()
