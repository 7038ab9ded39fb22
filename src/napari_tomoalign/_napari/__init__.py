"""The face in napari: the only room that may import napari or Qt."""
