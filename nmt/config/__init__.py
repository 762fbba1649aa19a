"""Every setting: its name, type, default, bounds and one line of why.

A configuration is read from YAML, changed by overrides such as `model.units=512`, checked as a whole before any work
starts, and written with all defaults into the run folder. The error for an unknown key names the nearest known one.
"""

from nmt.config.config import Config, differences, load_config, load_saved_config, parse_config, save_config
from nmt.config.corpora import LinesCorpus, MemoryCorpus, Settings, SideFiles, TextCorpus, TfdsCorpus, TsvCorpus
from nmt.config.data import BatchSettings, CleaningSettings, DataSettings, TokenizerSettings
from nmt.config.decoding import DecodingSettings
from nmt.config.model import ModelSettings
from nmt.config.training import TrainingSettings

__all__ = [
    "BatchSettings", "CleaningSettings", "Config", "DataSettings", "DecodingSettings", "LinesCorpus", "MemoryCorpus",
    "ModelSettings", "Settings", "SideFiles", "TextCorpus", "TfdsCorpus", "TokenizerSettings", "TrainingSettings",
    "TsvCorpus",
    "differences", "load_config", "load_saved_config", "parse_config", "save_config",
]  # fmt: skip
