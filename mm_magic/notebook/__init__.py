"""The notebook: the only code that imports IPython, traitlets and ipywidgets."""
