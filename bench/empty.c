/* What any program costs that is linked as r2 is: starting and ending. */
int
main(void)
{
	return 0;
}
