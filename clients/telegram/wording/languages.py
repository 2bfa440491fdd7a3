"""The bot's sentences in both languages. HTML as Telegram reads it; what is put in is escaped by whoever puts it in."""

from dataclasses import dataclass
from typing import Final

from contract.labels import EMOTIONS, LABELS


@dataclass(frozen=True)
class Words:
    """Everything the bot says in one language."""

    emotions: dict[str, str]
    percent: str
    commands: dict[str, str]
    start: str
    help: str
    help_in_groups: str
    emotions_usage: str
    privacy: str
    forget: str
    forgotten: str
    unknown_command: str
    no_text: str
    found: str
    neutral: str
    nothing_sure: str
    unreadable: str
    partly_readable: str
    beginning_only: str
    with_settings: str
    choice_gone: str
    choose_model: str
    choose_profile: str
    default: str
    profiles: dict[str, str]
    chosen: str
    no_such_choice: str
    gateway_away: str
    flooded: str
    interrupted: str
    broken: str


RUSSIAN: Final = Words(
    emotions=LABELS,
    percent="{}\N{NO-BREAK SPACE}%",
    commands={
        "start": "Начать",
        "help": "Что умеет бот",
        "emotions": "Определить эмоции в тексте или в сообщении, на которое вы отвечаете",
        "model": "Выбрать модель",
        "profile": "Выбрать режим оценки",
        "privacy": "Какие данные хранит бот",
    },
    start="Здравствуйте! Пришлите мне текст на русском, и я скажу, какие в нём эмоции: радость, грусть, удивление, "
    "страх или злость.\n\nПодробнее: /help",
    help="Пришлите или перешлите сообщение с текстом. Подпись к фото или видео тоже подойдёт.\n\n"
    "/emotions — эмоции в сообщении, на которое вы отвечаете, или в тексте после команды\n"
    "/model — выбрать модель\n"
    "/profile — выбрать режим оценки, например не пропускать злость\n"
    "/privacy — какие данные хранит бот\n\n"
    "В группах я отвечаю только на команды, на упоминания и на ответы на мои сообщения.\n\n"
    "Если исправить сообщение, нового ответа не будет: отправьте текст ещё раз. Я могу ошибаться, "
    "особенно когда в тексте сарказм.",
    help_in_groups="В группе ответьте на нужное сообщение командой /emotions, и я скажу, какие в нём эмоции.",
    emotions_usage="Ответьте командой /emotions на сообщение с текстом или напишите текст сразу после неё.",
    privacy="Тексты я не храню и не записываю в журнал: они нужны только на время ответа.\n\n"
    "Я храню ваш выбор модели и режима вместе с вашим идентификатором в Telegram, если вы их меняли, и номера "
    "обновлений, на которые уже ответил. Пока ответ ждёт очереди, могут временно храниться идентификаторы чата, "
    "сообщения и отправителя и язык интерфейса.\n\nВаш выбор можно удалить кнопкой ниже.",
    forget="Удалить мой выбор",
    forgotten="Ваш выбор удалён.",
    unknown_command="Такой команды нет. Список команд: /help",
    no_text="Здесь нет текста. Пришлите текст или добавьте к файлу подпись.",
    found="В тексте: {}.",
    neutral="Текст звучит нейтрально ({}).",
    nothing_sure="Уверенно назвать эмоцию не получается. Ближе всего: {}.",
    unreadable="Я не смог распознать ни одного знака в этом тексте, поэтому ничего сказать о нём не могу.",
    partly_readable="Часть знаков в этом тексте мне незнакома, поэтому оценка может быть неточной.",
    beginning_only="Текст длинный, модель прочитала только его начало.",
    with_settings="Модель: {model}. Режим оценки: {profile}.",
    choice_gone="Модель или режим, которые вы выбрали, больше недоступны: ответ дан с настройками по умолчанию.",
    choose_model="Какая модель должна отвечать?",
    choose_profile="Какой режим оценки выбрать?",
    default="по умолчанию",
    profiles={
        "balanced": "сбалансированный",
        "moderation": "не пропускать злость",
        "marketing": "только уверенные оценки",
    },
    chosen="Выбрано: {}",
    no_such_choice="Такого варианта больше нет. Отправьте команду ещё раз.",
    gateway_away="Сервис сейчас не отвечает. Попробуйте, пожалуйста, через несколько минут.",
    flooded="Слишком много сообщений сразу. Я отвечу на те, что уже приняты, а следующие, пожалуйста, пришлите позже.",
    interrupted="Меня перезапустили раньше, чем я успел ответить. Пожалуйста, отправьте это сообщение ещё раз.",
    broken="Что-то пошло не так, и ответить не получилось. Ошибка записана в журнал, мы разберёмся.",
)

ENGLISH: Final = Words(
    emotions={emotion: emotion.replace("_", " ") for emotion in EMOTIONS},
    percent="{}%",
    commands={
        "start": "Start",
        "help": "What this bot does",
        "emotions": "Emotions of a text, or of the message you reply to",
        "model": "Choose the model",
        "profile": "Choose how cautiously emotions are named",
        "privacy": "What this bot stores",
    },
    start="Hello! Send me a text in Russian, and I will tell its emotions: joy, sadness, surprise, fear or anger.\n\n"
    "More: /help",
    help="Send or forward a message with a text. The caption of a photo or video will do, too.\n\n"
    "/emotions — emotions of the message you reply to, or of the text after the command\n"
    "/model — choose the model\n"
    "/profile — choose how cautiously emotions are named\n"
    "/privacy — what this bot stores\n\n"
    "I read Russian. In groups I answer only commands, mentions and replies to my messages.\n\n"
    "If you edit a message, there is no new answer: send the text again. I can be wrong, above all about sarcasm.",
    help_in_groups="In a group, reply to a message with /emotions, and I will tell its emotions.",
    emotions_usage="Reply with /emotions to a message that has a text, or write the text right after it.",
    privacy="I neither store nor log texts: they are used for the answer and then gone.\n\n"
    "I store the model and the profile you chose with your Telegram id, if you chose any, and the numbers of the "
    "updates I have answered. While an answer waits for its turn, the ids of its chat, message and sender and the "
    "language of your Telegram may be stored too.\n\nThe button below deletes your choice.",
    forget="Delete my choice",
    forgotten="Your choice is deleted.",
    unknown_command="There is no such command. All commands: /help",
    no_text="There is no text here. Send a text, or add a caption to the file.",
    found="In this text: {}.",
    neutral="The text sounds neutral ({}).",
    nothing_sure="No emotion is certain. The closest: {}.",
    unreadable="The model knows none of the signs in this text, so I can't say anything about it.",
    partly_readable="The model could read only some of the signs in this text.",
    beginning_only="The text is long: the model read only its beginning.",
    with_settings="Model: {model}. Profile: {profile}.",
    choice_gone="The model or the profile you chose is gone; the answer is by the defaults.",
    choose_model="Which model should answer?",
    choose_profile="How cautiously should emotions be named?",
    default="default",
    profiles={
        "balanced": "balanced",
        "moderation": "miss no anger",
        "marketing": "only if sure",
    },
    chosen="Chosen: {}",
    no_such_choice="That is no longer on offer. Send the command again.",
    gateway_away="The service does not answer right now. Please try again in a few minutes.",
    flooded="Too many messages at once. I will answer those I have taken; please send more later.",
    interrupted="I was restarted before I could answer. Please send this message again.",
    broken="Something went wrong, and there is no answer. The fault is in our log.",
)


def words(language: str | None) -> Words:
    """The sentences for a language as Telegram names it; without one Russian, for whoever writes Russian texts."""
    return RUSSIAN if language is None or language.lower().split("-")[0] == "ru" else ENGLISH
