"""The nets: models and their weights, layers and their names, and Caffe, which runs them within the free memory."""
