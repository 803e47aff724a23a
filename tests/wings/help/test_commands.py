"""The commands as --help, the completions and the man page see them."""

import dreamify
from dreamer.help.commands import described


def test_the_main_command_has_no_word_and_its_options_have_groups() -> None:
    command = described(dreamify.dreamify)
    assert command.word == ""
    assert [word.spelled for word in command.words] == ["INPUT", "OUTPUT", "LAYER", "ITERATIONS", "OCTAVES", "SCALE"]
    assert command.usage == " INPUT OUTPUT [LAYER [ITERATIONS [OCTAVES [SCALE]]]]"
    assert {option.group for option in command.options} == {"how to dream", "pictures", "films",
                                                             "the machine and the program"}


def test_a_command_has_its_word_texts_and_defaults() -> None:
    command = described(dreamify.atlas)
    assert command.word == "atlas"
    assert command.summary == "Dream a picture at each layer, and put the dreams side by side with their names."
    [size] = [option for option in command.options if option.name == "max_size"]
    assert (size.spelled, size.metavar, size.default, size.group) == ("--max-size", "N", 256, "")
    assert size.help.endswith("(default: 256)")
    assert "%" not in described(dreamify.keys).usage
    assert described(dreamify.completion).usage == " SHELL"
