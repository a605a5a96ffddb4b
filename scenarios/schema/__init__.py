"""The JSON Schema of scenario files, made from the model: `python -m scenarios.schema`."""
