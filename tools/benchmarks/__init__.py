"""The parts of tools/benchmark.py: models, contenders in processes of their own, figures, pages."""
