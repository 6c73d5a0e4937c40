"""Pictures of results: needs NumPy and pillow, reads ig_tf.run.results alone."""
