"""What SQLAlchemy does over psycopg, through the front: sqlalchemy_through.py PORT."""

import sys

from sqlalchemy import ForeignKey, create_engine, func, inspect, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship

ADDRESS = f"postgres@127.0.0.1:{sys.argv[1]}/postgres"


class Base(DeclarativeBase):
    pass


class Author(Base):
    __tablename__ = "through_author"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    books: Mapped[list["Book"]] = relationship(back_populates="author")


class Book(Base):
    __tablename__ = "through_book"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    author_id: Mapped[int] = mapped_column(ForeignKey("through_author.id"))
    author: Mapped[Author] = relationship(back_populates="books")


def main():
    engine = create_engine(f"postgresql+psycopg://{ADDRESS}", pool_size=3, pool_pre_ping=True)
    Base.metadata.create_all(engine)
    assert inspect(engine).has_table("through_author")
    with Session(engine) as session:
        session.add_all(
            Author(name=f"author {a}", books=[Book(title=f"book {b}") for b in range(10)]) for a in range(50)
        )
        session.commit()
        counted = select(Author.name, func.count(Book.id)).join(Book).group_by(Author.id).order_by(Author.id)
        assert session.execute(counted).all() == [(f"author {a}", 10) for a in range(50)]
    with Session(engine) as session:
        session.add(Author(name="author 7"))
        try:
            session.commit()
            raise AssertionError("the name is there already")
        except IntegrityError:
            session.rollback()
        with session.begin_nested() as nested:
            session.add(Author(name="nobody"))
            session.flush()
            nested.rollback()
        session.add(Author(name="one more"))
        session.commit()
        assert session.scalar(select(func.count(Author.id))) == 51
        rows = session.scalars(select(Book.title).execution_options(yield_per=50))
        assert len([title for title in rows]) == 500
    with engine.connect().execution_options(isolation_level="SERIALIZABLE") as connection:
        assert connection.scalar(text("show transaction_isolation")) == "serializable"
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("vacuum through_book"))
    Base.metadata.drop_all(engine)
    engine.dispose()


main()
print("ok")
