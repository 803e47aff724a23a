"""The nets: models and their weights, layers and their names, and Caffe running them within the memory there is."""
