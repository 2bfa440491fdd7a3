"""What may stand around any training text with its labels left as they are: greetings, thanks, names, marks, smileys.

The words are other ones than those that `training.behaviour` measures with, but for the commonest (`COMMON`), which no
model could do without; a test compares them.
"""

from collections.abc import Callable
from random import Random
from typing import Final

from training.data.written.family import lines

COMMON: Final = ("привет", "здравствуйте", "добрый день", "спасибо")
OPENINGS: Final = lines("""
    Привет,
    Здравствуйте,
    Добрый день,
    Доброго дня!
    Утро доброе.
    Вечер добрый,
    Доброй ночи.
    Здравствуй!
    Приветствую вас.
    Моё почтение.
    Всем здравствуйте!
    Приветик!
    Здорово!
    Привет всем,
    Ребята, привет.
    Дорогие друзья!
    Уважаемая поддержка!
    Коллеги, добрый день.
    Алло,
    Простите за беспокойство.
    Извините, что пишу.
    Скажу сразу:
    Пишу вам снова.
    Такое дело:
    Ну вот,
    Слушайте,
    В общем,
    Короче,
    Знаете,
    Вот что:
""")
CLOSINGS: Final = lines("""
    Спасибо за ответ.
    Спасибо заранее!
    Всем спасибо.
    Благодарю за помощь.
    Заранее признательна.
    Буду благодарен за ответ.
    Спасибо, что читаете.
    С благодарностью, Нина.
    Жду ответа.
    С уважением, постоянный покупатель.
    С наилучшими пожеланиями.
    Доброго вечера.
    Удачного дня.
    Всех благ.
    До связи.
    На связи.
    Ваш подписчик
    Как-то так.
    Вот и всё.
    Такие дела.
    Это всё, что хотел сказать.
    Подпись: житель дома
    Отправлено с телефона
""")
MARKS: Final = ("", ".", "..", "...", "…", "!", "!!", "!!!", "?!", "?", " .", " !")
SMILEYS: Final = (
    *(")", "))", ")))", ":)", ":-)", ";)", "(", "((", "(((", ":(", ":-(", "=(", ":D", "xD"),
    *("🙂", "😀", "🙃", "☹️", "🤷", "👋"),
)
NAMES: Final = lines("""
    Александр
    Екатерина
    Николай
    Татьяна Ивановна
    Вадим
    Лариса
    Степан
    Дарья
    Глеб
    Полина
    Остап
    Мирослава
    Тамара
    Ренат
    Динара
    Тимур
    Гузель
    Фанис
    Ляйсан
    Айдар
    Чулпан
    Салават
    Элина
    Мурад
    Аминат
    Ислам
    Мадина
    Карен
    Арменуи
    Давид
    Тамара Шалвовна
    Эльхан
    Севиль
    Аслан
    Залина
    Фархад
    Нигора
    Азамат
    Дилноза
    Ержан
    Асель
    Рахмон
    Мехрангез
    Баир
    Туяра
    Аяна
    Сойла
    Омар
    Амина
    Хасан
    Юсуф
    Майкл
    Хуан
    Чен
    Фам
    Абрам
    Эстер
    Пьер
    Амаду
    Такеши
    Ингрид
    Луиджи
    Прия
""")


def surrounded(text: str, random: Random) -> str:
    """The text with one or two things around it that say nothing of it."""
    for change in random.sample(_CHANGES, random.choice((1, 1, 2))):
        text = change(text, random)
    return text


def _opened(text: str, random: Random) -> str:
    return f"{random.choice(OPENINGS)} {text}"


def _closed(text: str, random: Random) -> str:
    mark = random.choice((".", "!", "")) if text[-1:].isalnum() else ""
    return f"{text}{mark} {random.choice(CLOSINGS)}"


def _marked(text: str, random: Random) -> str:
    return text.rstrip(".!…") + random.choice(MARKS)


def _smiling(text: str, random: Random) -> str:
    return f"{text}{random.choice(('', ' '))}{random.choice(SMILEYS)}"


def _named(text: str, random: Random) -> str:
    name = random.choice(NAMES)
    written = random.choice((f"{name}, {text}", f"{text}, {name}", f"{name}! {text}", f"{name} {text}"))
    return written if random.random() < 0.8 else written.lower()


def _cased(text: str, random: Random) -> str:
    return random.choice((str.lower, str.upper, str.capitalize))(text)


_CHANGES: Final[tuple[Callable[[str, Random], str], ...]] = (_opened, _closed, _marked, _smiling, _named, _cased)
