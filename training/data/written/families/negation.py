"""Minimal pairs: a feeling, and the same words with the feeling denied."""

from typing import Final

from training.data.written.families.family import Family, lines

_NEUTRAL: Final = ("no_emotion",)
_SADNESS: Final = ("sadness",)
_JOY: Final = ("joy",)
_FEAR: Final = ("fear",)
_ANGER: Final = ("anger",)

_ABOUT: Final = lines("""
    из-за переезда
    после вчерашнего разговора
    из-за оценок
    что он не приехал
    перед полётом
    после матча
    из-за этой поездки
    от таких новостей
    из-за ссоры с братом
    что лето кончилось
    когда отключают свет
    из-за погоды
    после фильма
    из-за работы
    что остались без машины
    перед концертом
    что нас перевели в другой отдел
    от этих слов
    когда он уезжает
    что праздник отменили
""")
_SAD: Final = lines("""
    грустно
    тоскливо
    обидно
    больно
    горько
    одиноко
    тяжело на душе
    печально
    плохо
    досадно
""")
_FEARFUL: Final = lines("""
    страшно
    тревожно
    жутко
    боязно
""")
_FEARED: Final = lines("""
    темноты
    пауков
    экзаменов
    собак
    самолётов
    этого начальника
    глубины
    грозы
    старости
    осуждения
    врачей
    выступать на сцене
    оставаться в доме
    ночных поездов
    завтрашней проверки
    потерять место
    их угроз
    крови
""")
_CROSS: Final = lines("""
    злюсь
    сержусь
    обижаюсь и злюсь
    зла
    разозлилась
    рассержена
    обозлилась
""")
_WHOM: Final = lines("""
    на тебя
    на соседку
    на врачей
    на судью
    на почту
    на сына
    на коллег
    на погоду
    на них всех
    на этот магазин
    на брата
    на начальство
""")
_PLEASURE: Final = lines("""
    от квартиры у набережной
    от этой премьеры
    от подарка
    от такого лета
    от встречи с классом
    от нашей прогулки
    от ваших пирожных
    от победы
    от отпуска в горах
    от занятий йогой
    от своей мастерской
    от повышения
    от свадьбы
    от этой книги
""")

NEGATION: Final = (
    Family(
        "sad",
        _SADNESS,
        lines("""
            мне {sad} {about}
            Мне очень {sad} {about}
            Так {sad} {about}
            {sad_cap} мне {about}
            Я расстроена, {sad} {about}
            {sad_cap} мне
        """),
        {"sad": _SAD, "about": _ABOUT},
    ),
    Family(
        "not_sad",
        _NEUTRAL,
        lines("""
            мне не {sad} {about}
            Мне совсем не {sad} {about}
            Нет, мне не {sad}
            Вовсе не {sad} мне {about}
            Ничуть не {sad} {about}
            Я не расстроена, мне не {sad}
            кто сказал, что мне {sad} {about}? Нет
            Мне больше не {sad} {about}
        """),
        {"sad": _SAD, "about": _ABOUT},
    ),
    Family(
        "afraid",
        _FEAR,
        lines("""
            я боюсь {feared}
            Очень боюсь {feared}
            Мне {fearful} {about}
            {fearful_cap} {about}
            с детства боюсь {feared}, ничего не могу поделать
            У меня страх: боюсь {feared}
        """),
        {"fearful": _FEARFUL, "about": _ABOUT, "feared": _FEARED},
    ),
    Family(
        "not_afraid",
        _NEUTRAL,
        lines("""
            я не боюсь {feared}
            Не боюсь я {feared}
            Совсем не боюсь {feared}
            Мне не {fearful} {about}
            Больше не боюсь {feared}
            Мы не из тех, кто боится {feared}
            ничего не боюсь, и {feared} тоже
            Нет у меня страха, не боюсь {feared}
        """),
        {"fearful": lines("страшно\nтревожно\nжутко\nбоязно"), "about": _ABOUT, "feared": _FEARED},
    ),
    Family(
        "angry",
        _ANGER,
        lines("""
            я {angry} {whom}
            Очень {angry} {whom} {about}
            Да, я {angry} {whom}
            Я просто {angry} {whom}
            до сих пор {angry} {whom} {about}
        """),
        {"angry": _CROSS, "whom": _WHOM, "about": _ABOUT},
    ),
    Family(
        "not_angry",
        _NEUTRAL,
        lines("""
            я не {angry} {whom}
            Не {angry} я {whom}
            Совсем не {angry} {whom} {about}
            Давно уже не {angry} {whom}
            Никто не злится {whom}, и я не {angry}
            да не {angry} я, спокойна
        """),
        {"angry": lines("злюсь\nсержусь\nобижаюсь\nзла\nразозлилась"), "whom": _WHOM, "about": _ABOUT},
    ),
    Family(
        "glad",
        _JOY,
        lines("""
            я {joyful} {pleasure}
            Так {joyful} {pleasure}!
            Получили удовольствие {pleasure}
            Мне понравился {liked_m}
            мне очень понравилась {liked_f}
            Столько радости {pleasure}
            Есть чему радоваться
        """),
        {
            "joyful": lines("в восторге\nсчастлива\nв полном восторге\nбез ума"),
            "pleasure": _PLEASURE,
            "liked_m": lines("ваш ресторан\nспектакль\nздешний пляж\nновый диван\nмамин подарок\nэтот курс"),
            "liked_f": lines("новая причёска\nэкскурсия по крепости\nздешняя кухня\nмузыка на свадьбе\nвечеринка"),
        },
    ),
    Family(
        "not_glad",
        _SADNESS,
        lines("""
            я не {joyful} {pleasure}
            Никакой радости {pleasure}
            Не получили удовольствия {pleasure}
            Мне не понравился {liked_m}
            совсем не понравилась {liked_f}
            Ни капли удовольствия {pleasure}
            Не радует меня {liked_f}
            Не могу сказать, что {joyful} {pleasure}
            {liked_m_cap} не порадовал
            Нечему радоваться
            Не вижу повода для радости
            Ожидал большего, {liked_f} не впечатлила
            Восторга {pleasure} не испытала
        """),
        {
            "joyful": lines("в восторге\nсчастлива"),
            "pleasure": _PLEASURE,
            "liked_m": lines("ваш ресторан\nспектакль\nздешний пляж\nновый диван\nмамин подарок\nэтот курс"),
            "liked_f": lines("новая причёска\nэкскурсия по крепости\nздешняя кухня\nмузыка на свадьбе\nвечеринка"),
        },
    ),
    Family(
        "no_trouble",
        _NEUTRAL,
        lines("""
            {nothing_cap}, {fine}
            {fine_cap}, {nothing}
            {nothing_cap}
            Нет, {nothing}, {fine}
            {nothing} {about}
        """),
        {
            "nothing": lines("""
                не беспокойтесь
                ничего плохого не случилось
                нет никаких жалоб
                никто не в обиде
                не о чем переживать
                обиды не держу
                трагедии тут нет
                замечаний не имеется
                никто не ругался
                я не расстроился
                слёз не было
                паниковать не нужно
                никаких поводов для грусти
            """),
            "fine": lines("""
                все целы
                вопрос решили
                работаем дальше
                просто уточняю
                идём по плану
                дела идут своим ходом
                договорились на завтра
                всё по-старому
                можно не спешить
                приеду позже
            """),
            "about": _ABOUT,
        },
    ),
)
